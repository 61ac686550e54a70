// SPDX-License-Identifier: GPL-2.0-only
// What the rest of criu uses of the image layer. Messages come from gen/*_pb.ts, new ones by `create(fooSchema, …)`.

export type { ComingPages, ImageChannel, OutgoingImage } from "./channel.ts";
export { type DecodeSource, decodeMessage } from "./decode.ts";
export { type ShowOptions, showOptionsOf } from "./descriptors.ts";
export { encodeMessage, hasField, shareMessage } from "./encode.ts";
export { type ImgVersion, MAX_ENTRY_SIZE } from "./framing.ts";
export { ImageDir, PARENT_LINK } from "./image-dir.ts";
export {
	type Framing,
	findKindOfFile,
	type ImageId,
	type ImageKind,
	type ImageKindName,
	imageFileName,
	KINDS,
} from "./kinds.ts";
export { IMG_COMMON_MAGIC, IMG_SERVICE_MAGIC, MAGIC } from "./magics.ts";
export { create } from "./message-plan.ts";
export { ImageReader, type ImageRecord, type Payload } from "./reader.ts";
export { ImageWriter } from "./writer.ts";
