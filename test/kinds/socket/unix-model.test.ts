// SPDX-License-Identifier: GPL-2.0-only
// What images tell of unix sockets is checked before anything is made.

import { describe, expect, test } from "bun:test";
import { fd_types, type file_entry, file_entrySchema } from "../../../src/images/gen/fdinfo_pb.ts";
import {
	scm_entrySchema,
	sk_opts_entrySchema,
	sk_packet_entrySchema,
	type unix_sk_entry,
	unix_sk_entrySchema,
} from "../../../src/images/gen/socket_pb.ts";
import { create, KINDS } from "../../../src/images/index.ts";
import { emptyFown } from "../../../src/kinds/file/fown.ts";
import { UnixModels } from "../../../src/kinds/socket/unix-model.ts";
import { cutName, pathOfName } from "../../../src/kinds/socket/unix-name.ts";
import type { Options } from "../../../src/options.ts";
import { bytesOf, codeOf, fileRestore, TempDir } from "../file/fixtures.ts";

const [STREAM, DGRAM] = [1, 2];
const [ESTABLISHED, CLOSE, LISTEN] = [1, 7, 10];

function unixEntry(id: number, ino: number, fields: Partial<unix_sk_entry> = {}): file_entry {
	const opts = create(sk_opts_entrySchema, {
		soSndbuf: 212992,
		soRcvbuf: 212992,
		soSndTmoSec: 0n,
		soSndTmoUsec: 0n,
		soRcvTmoSec: 0n,
		soRcvTmoUsec: 0n,
	});
	const { $typeName: _, ...rest } = fields;
	const usk = create(unix_sk_entrySchema, {
		id,
		ino,
		type: STREAM,
		state: CLOSE,
		flags: 2,
		uflags: 0,
		backlog: 0,
		peer: 0,
		fown: emptyFown(),
		opts,
		name: new Uint8Array(),
		...rest,
	});
	return create(file_entrySchema, { type: fd_types.UNIXSK, id, usk });
}

const pair = (fields: Partial<unix_sk_entry> = {}, other: Partial<unix_sk_entry> = {}) => [
	unixEntry(1, 11, { state: ESTABLISHED, peer: 12, ...fields }),
	unixEntry(2, 12, { state: ESTABLISHED, peer: 11, ...other }),
];

function modelsOf(entries: readonly file_entry[], options: Partial<Options> = {}, rights?: readonly number[]) {
	using dir = new TempDir();
	if (rights !== undefined) {
		using writer = dir.images.writer(KINDS.SK_QUEUES);
		const scm = [create(scm_entrySchema, { type: 1, rights: [...rights] })];
		writer.write(create(sk_packet_entrySchema, { idFor: 1, length: 1, scm }));
		writer.writePayload(new Uint8Array(1));
		writer.close();
	}
	return new UnixModels(fileRestore(dir.images, entries, options));
}

describe("unix sockets of images", () => {
	test.each([
		["a pair", pair(), ["pair", "pair"]],
		["a stream whose peer is gone", [unixEntry(1, 11, { state: ESTABLISHED, shutdown: 3 })], ["orphan"]],
		["a datagram socket whose peer is gone", [unixEntry(1, 11, { type: DGRAM, peerGone: true })], ["orphan"]],
		[
			"a connection that waits",
			[unixEntry(1, 11, { state: ESTABLISHED, peer: 12 }), unixEntry(2, 12, { state: LISTEN, name: bytesOf("/l\0") })],
			["alone", "alone"],
		],
		[
			"a datagram client",
			[unixEntry(1, 11, { type: DGRAM, peer: 12 }), unixEntry(2, 12, { type: DGRAM, name: bytesOf("\0s") })],
			["alone", "alone"],
		],
	])("are made as they hang together: %s", (_, entries, making) => {
		const models = modelsOf(entries);
		expect([...models.byId.values()].map((model) => model.making)).toEqual(making as never);
	});

	test.each([
		["inode 0", [unixEntry(1, 0)]],
		["one inode twice", [unixEntry(1, 11), unixEntry(2, 11)]],
		["an unknown type", [unixEntry(1, 11, { type: 3 })]],
		["an unknown state", [unixEntry(1, 11, { state: 3 })]],
		["flags that no socket has", [unixEntry(1, 11, { flags: 1 })]],
		["a name that's too long", [unixEntry(1, 11, { name: new Uint8Array(110).fill(97) })]],
		["a deleted file without a path", [unixEntry(1, 11, { deleted: true, name: bytesOf("\0a") })]],
		["a relative directory", [unixEntry(1, 11, { name: bytesOf("a"), nameDir: bytesOf("x/y") })]],
		["a listening socket without a name", [unixEntry(1, 11, { state: LISTEN })]],
		["a listening datagram socket", [unixEntry(1, 11, { type: DGRAM, state: LISTEN, name: bytesOf("/a") })]],
		["a peer that isn't there", [unixEntry(1, 11, { state: ESTABLISHED, peer: 99 })]],
		["a peer of another type", pair({}, { type: DGRAM })],
		["a stream connected to nobody", [unixEntry(1, 11, { state: ESTABLISHED })]],
		["a stream connected one way", pair({}, { peer: 0, state: CLOSE })],
		["a shutdown of no direction", pair({ shutdown: 4 as never })],
		["unknown uflags", [unixEntry(1, 11, { uflags: 64 })]],
	])("are refused with %s", (_, entries) => {
		expect(codeOf(() => modelsOf(entries))).toBe("IMAGE_CORRUPT");
	});

	test("aren't accepted with files in their queues that don't exist", () => {
		expect(codeOf(() => modelsOf(pair(), {}, [2]))).toBe("nothing");
		expect(codeOf(() => modelsOf(pair(), {}, [7]))).toBe("IMAGE_CORRUPT");
		expect(codeOf(() => modelsOf(pair(), {}, []))).toBe("IMAGE_CORRUPT");
	});

	test("with peers outside need the option, or a descriptor", () => {
		const outside = (name: string) => unixEntry(2, 12, { type: DGRAM, state: LISTEN, uflags: 1, name: bytesOf(name) });
		const client = unixEntry(1, 11, { type: DGRAM, state: ESTABLISHED, peer: 12 });
		const stream = unixEntry(1, 11, { state: ESTABLISHED, peer: 12 });
		const inheritFds = [{ fd: 0, key: "socket:[11]" }];
		expect(codeOf(() => modelsOf([client, outside("/log")]))).toBe("EXTERNAL_UNIX_SOCKET");
		expect(codeOf(() => modelsOf([client, outside("/log")], { extUnixSk: true }))).toBe("nothing");
		expect(codeOf(() => modelsOf([client, outside("")], { extUnixSk: true }))).toBe("NEEDS_INHERIT_FD");
		expect(codeOf(() => modelsOf([stream, outside("/log")], { extUnixSk: true }))).toBe("NEEDS_INHERIT_FD");
		expect(codeOf(() => modelsOf([stream, outside("/log")], { inheritFds }))).toBe("nothing");
	});
});

describe("names of unix sockets", () => {
	test("are paths up to their NUL, unless they're abstract", () => {
		expect(pathOfName(bytesOf("/run/a\0"))).toEqual(bytesOf("/run/a"));
		expect(pathOfName(bytesOf("\0a"))).toBeUndefined();
		expect(pathOfName(new Uint8Array())).toBeUndefined();
	});

	test.each([
		["/a/b/c", "c", "/a/b"],
		["/a/b/c", "b/c", "/a"],
		["/a/b/c", "./c", "/a/b"],
		["/c", "c", "/"],
		["/a/bc", "c", undefined],
		["/a/b", "../b", undefined],
	])("%s is %s, seen from %s", (full, path, dir) => {
		const found = cutName(bytesOf(full), bytesOf(path));
		expect(found === undefined ? undefined : new TextDecoder().decode(found)).toBe(dir as never);
	});
});
