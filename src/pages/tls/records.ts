// SPDX-License-Identifier: GPL-2.0-only
// Looks at the records that pass, without their keys: only to know whether the last one can be the farewell of the other side. A
// connection that ends without it was cut, by whomever. Source: RFC 8446 5.1, 5.2, 6.1; RFC 5246 6.2.1.

const HEADER = 5;
const ALERT = 21;
const APPLICATION_DATA = 23;
/** In TLS 1.3 an alert of two bytes comes with the byte that says so and a tag of 16. */
const ENCRYPTED_ALERT = 19;

export class RecordWatch {
	private readonly header = new Uint8Array(HEADER);
	private headerBytes = 0;
	private left = 0;
	private type = 0;
	private length = 0;

	/** Bytes that came. */
	take(bytes: Uint8Array): void {
		for (let at = 0; at < bytes.length; ) {
			if (this.left > 0) {
				const part = Math.min(this.left, bytes.length - at);
				this.left -= part;
				at += part;
				continue;
			}
			this.header[this.headerBytes++] = bytes[at++] ?? 0;
			if (this.headerBytes < HEADER) continue;
			this.headerBytes = 0;
			const [type = 0, , , high = 0, low = 0] = this.header;
			this.type = type;
			this.length = (high << 8) | low;
			this.left = this.length;
		}
	}

	/** True when all records are whole and the last one is as long as a farewell. */
	get endsWithAlert(): boolean {
		if (this.left > 0 || this.headerBytes > 0) return false;
		return this.type === ALERT || (this.type === APPLICATION_DATA && this.length === ENCRYPTED_ALERT);
	}
}
