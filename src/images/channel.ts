// SPDX-License-Identifier: GPL-2.0-only
// Images that are no files of a directory: they go to, or come from, somebody else, each from its beginning to its end.

/** An image on its way out. */
export interface OutgoingImage {
	/** What its bytes are written to, one after the other, without positions. */
	readonly fd: number;
	/** Says how many bytes somebody else writes to the descriptor next. */
	announce(length: number): void;
	write(bytes: Uint8Array): void;
	/** The image is whole. @throws CriuError when it can't have arrived */
	close(): void;
	/** Gives up; never throws. */
	abandon(): void;
}

/** A pages file that will come. */
export interface ComingPages {
	readonly name: string;
	/** In bytes. */
	readonly length: number;
}

/** Where images go, or come from. */
export interface ImageChannel {
	/** Begins an image. @throws CriuError */
	create(name: string): OutgoingImage;
	/**
	 * A descriptor of the whole image, which can be read anywhere, and freed (pages) where it was read; undefined when there is
	 * none. The caller closes it.
	 *
	 * @throws CriuError
	 */
	open(name: string): number | undefined;
	/** The other side took all images, or has given all that were asked for. @throws CriuError when it didn't */
	finish(): void;
	/** Of a channel through which pages come last: all else was written, and these follow, in that order. */
	beginPages?(pages: readonly ComingPages[]): void;
	/** True of such a channel. */
	readonly hasPagesLast?: boolean;
	/**
	 * Whoever reads all of that pages file in order, once, may do so here, if nobody else does; length: undefined where it isn't known
	 * yet. What is planned counts only when `receive` is called first; another plan may begin until then.
	 */
	openStraight?(name: string): { fd: number; length: number | undefined } | undefined;
	/** No plan of before counts. */
	beginPlan?(): void;
	/** Takes the pages up to those, or what follows them. @throws CriuError */
	receive?(): void;
	/** Of such a channel: the tasks whose images they are end here when all was read. */
	readonly isLocal?: boolean;
	/** A failure of whoever has written to an image's descriptor, as what it means. */
	explain(error: unknown): unknown;
	close(): void;
}
