// SPDX-License-Identifier: GPL-2.0-only
// Our crit against the peer's, over the images of any scenario: the same JSON, and the same bytes back from it.

import { createHash } from "node:crypto";
import { join } from "node:path";
import { MemorySink } from "../../src/crit/byte-sink.ts";
import { ByteSource } from "../../src/crit/byte-source.ts";
import { decodeImage } from "../../src/crit/decode.ts";
import { recodeImage } from "../../src/crit/recode.ts";
import type { CritAnswer } from "./peer.ts";

function decode(path: string, pretty: boolean): string {
	using source = ByteSource.open(path);
	const sink = new MemorySink();
	decodeImage(source, sink, { pretty, noPayload: false, extensions: false });
	return new TextDecoder().decode(sink.bytes());
}

/** The JSON as a peer gives it that doesn't know the latest fields: pages were counted by another one. */
function asOlder(json: string): string {
	if (!json.includes('"magic": "PAGEMAP"')) return json;
	return json.replace(/, "nr_pages": \d+|,\n +"nr_pages": \d+/g, "").replaceAll('"compat_nr_pages"', '"nr_pages"');
}

/** What is different between the two crits, a line for each. */
export function compareCrit(folder: string, { digests, older }: CritAnswer): string[] {
	return Object.entries(digests).flatMap(([name, wanted]) => {
		const path = join(folder, name);
		const found = [false, true].map((pretty) => {
			const json = decode(path, pretty);
			return createHash("sha256")
				.update(older ? asOlder(json) : json)
				.digest("hex");
		});
		const at = [false, true].map((pretty) => recodeImage(path, pretty));
		return [
			...(found[0] === wanted[0] ? [] : [`${name}: the plain JSON differs`]),
			...(found[1] === wanted[1] ? [] : [`${name}: the pretty JSON differs`]),
			...(at[0] === undefined ? [] : [`${name}: recoded it differs from byte ${at[0]} on`]),
			...(at[1] === undefined ? [] : [`${name}: recoded in the pretty form it differs from byte ${at[1]} on`]),
		];
	});
}
