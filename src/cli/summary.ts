// SPDX-License-Identifier: GPL-2.0-only
// The line that ends a dump or restore for somebody who sits at a terminal: how much, how long, how long frozen.

import { fstatSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Options } from "../options.ts";

/** Major numbers of terminals. Source: Documentation/admin-guide/devices.txt (tty, console, Unix98 slaves) */
const TTY_MAJORS: readonly [from: number, to: number][] = [
	[4, 5],
	[136, 143],
];

/** Whether the descriptor is a terminal; without loading node:tty, which costs a millisecond. */
export function isTerminal(fd: number): boolean {
	try {
		const stat = fstatSync(fd);
		const major = (stat.rdev >>> 8) & 0xfff;
		return stat.isCharacterDevice() && TTY_MAJORS.some(([from, to]) => major >= from && major <= to);
	} catch {
		return false;
	}
}

/** Bytes of all images in the folder. */
export function sizeOfImages(dir: string): number {
	let bytes = 0;
	for (const name of readdirSync(dir)) {
		const stat = name.endsWith(".img") ? lstatSync(join(dir, name)) : undefined;
		if (stat?.isFile() === true) bytes += stat.size;
	}
	return bytes;
}

/** As people say it: `512 bytes`, `3.4 KiB`, `12 MiB`. */
export function describeBytes(bytes: number): string {
	if (bytes < 1024) return `${bytes} bytes`;
	const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
	const value = bytes / 1024 ** power;
	return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${["", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

function describeMs(ms: number): string {
	if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
	return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export interface Summary {
	/** What was done, with its object: `Dumped pid 5`. */
	done: string;
	/** Undefined when the images aren't there. */
	imagesDir: string | undefined;
	/** Of the whole run, in milliseconds. */
	tookMs: number;
	/** How long the tasks stood still, in microseconds. */
	frozenUs?: number | undefined;
}

/** The folder with a run's images; undefined when they're streamed. */
export function findImages({ imagesDir, imagePipe, stream }: Options): string | undefined {
	return imagePipe === undefined && !stream ? imagesDir : undefined;
}

/** One line, ending with a newline. */
export function describeSummary({ done, imagesDir, tookMs, frozenUs }: Summary): string {
	const frozen = frozenUs === undefined ? "" : `, frozen for ${describeMs(frozenUs / 1000)}`;
	const images = imagesDir === undefined ? "" : `${describeBytes(sizeOfImages(imagesDir))} of images, `;
	return `${done}: ${images}${describeMs(tookMs)}${frozen}\n`;
}
