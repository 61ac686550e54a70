// SPDX-License-Identifier: GPL-2.0-only
// Where the images of a run are: files of the images directory, or streamed.

import { UsageError } from "../errors.ts";
import { ImageDir } from "../images/index.ts";
import type { Options } from "../options.ts";
import type { RunControl } from "./control.ts";
import { ImagePipeIn } from "./image-pipe-in.ts";
import { ImagePipeOut } from "./image-pipe-out.ts";
import { ImageStreamer } from "./image-streamer.ts";

/** Options that need images to be files, or pages elsewhere. */
function findConflict(options: Options): { name: string; reason: string } | undefined {
	const byItself = "streamed images hold all that a restore needs";
	if (options.imagePipe !== undefined && options.stream) return { name: "stream", reason: "images go one way only" };
	if (options.imagePipe !== undefined && options.trackMem)
		return { name: "track-mem", reason: "no later dump can build on images that aren't kept" };
	if (options.prevImagesDir !== undefined) return { name: "prev-images-dir", reason: byItself };
	if (options.pageServer) return { name: "page-server", reason: byItself };
	if (options.autoDedup) return { name: "auto-dedup", reason: "nothing can be freed in images that aren't files" };
	if (options.lazyPages) return { name: "lazy-pages", reason: "pages come in their order, once" };
	if (options.mapPages) return { name: "map-pages", reason: "memory can be mapped from files only" };
	return undefined;
}

/** @throws UsageError STREAM_CONFLICT */
export function checkStreamOptions(options: Options, spelling: string): void {
	const conflict = findConflict(options);
	if (conflict === undefined) return;
	throw new UsageError(
		"STREAM_CONFLICT",
		`${spelling} can't be used together with --${conflict.name}: ${conflict.reason}`,
		{
			remedy: "leave one of them out",
		},
	);
}

/** @throws UsageError ZSTD_CONFLICT */
export function checkZstdOptions(options: Options): void {
	if (!options.zstd) return;
	const { stream, imagePipe, pageServer, trackMem, prevImagesDir, lazyPages, snapshot } = options;
	const conflicts = {
		"--stream": stream,
		"-D -": imagePipe !== undefined,
		"--page-server": pageServer,
		"--track-mem": trackMem,
		"--prev-images-dir": prevImagesDir !== undefined,
		"--lazy-pages": lazyPages,
		"--snapshot": snapshot,
	};
	const other = Object.entries(conflicts).find(([, isThere]) => isThere)?.[0];
	if (other === undefined) return;
	const isStream = other === "--stream" || other === "-D -";
	throw new UsageError("ZSTD_CONFLICT", `--zstd can't be used together with ${other}: it's for a whole dump to files`, {
		remedy: isStream ? "compress the stream itself, as in criu dump -D - | zstd" : "leave one of them out",
	});
}

/**
 * Opens the images of a run; with --stream asks at the hook `pre-stream` and connects to the streamer.
 *
 * @throws UsageError STREAM_CONFLICT, HookError, CriuError NO_STREAMER, ImageError IMAGES_DIR
 */
export function openImages(options: Options, use: "write" | "read", control: RunControl): ImageDir {
	const { imagesDir, imagePipe, workDir } = options;
	const places = workDir === undefined ? [] : [workDir];
	if (imagePipe !== undefined) {
		checkStreamOptions(options, "-D -");
		const pipe = use === "write" ? new ImagePipeOut(imagePipe) : ImagePipeIn.open(imagePipe, options.newPidns, places);
		return ImageDir.overChannel(imagesDir, pipe, "the stream of images");
	}
	if (!options.stream) return ImageDir.open(imagesDir);
	checkStreamOptions(options, "--stream");
	using dir = ImageDir.open(imagesDir);
	control.runHook("pre-stream", { imagesFd: dir.descriptor });
	places.push(imagesDir);
	return ImageDir.overChannel(imagesDir, ImageStreamer.connect(imagesDir, dir.descriptor, use, places));
}
