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
	/** A failure of whoever has written to an image's descriptor, as what it means. */
	explain(error: unknown): unknown;
	close(): void;
}
