// SPDX-License-Identifier: GPL-2.0-only
// Images that the files of all tasks write into, such as those of what waits in pipes and sockets.

import type { Message } from "@bufbuild/protobuf";
import { BugError } from "../../errors.ts";
import type { ImageKind, ImageWriter } from "../../images/index.ts";
import type { DumpContext } from "../kind.ts";

/** The writer of an image of the whole dump, opened at first use and closed with files.img, or when the dump fails. */
export function sharedWriter<E extends Message>(kind: ImageKind<E>, context: DumpContext): ImageWriter<E> {
	return context.once(`writer:${kind.name}`, () => {
		if (context.dir === undefined) throw new BugError(`a preflight must not write ${kind.name}`);
		const writer = context.dir.writer(kind);
		context.files.atEnd(() => writer.close());
		context.files.onFailure(() => writer[Symbol.dispose]());
		return writer;
	});
}
