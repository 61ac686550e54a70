// SPDX-License-Identifier: GPL-2.0-only
// Maps of BPF programs, for what user space sees of them: hash tables and arrays with their content.
// Images: files.img (bpfmap_file_entry), bpfmap-data.img (bpfmap_data_entry, followed by all keys and all values).
// Source: bpf(2), proc_pid_fdinfo(5), linux/bpf.h, kernel/bpf/syscall.c (batches).

import type { OpRef } from "../../agent/program.ts";
import { BugError, CriuError, isErrno, KernelError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import {
	type bpfmap_data_entry,
	bpfmap_data_entrySchema,
	type bpfmap_file_entry,
	bpfmap_file_entrySchema,
} from "../../images/gen/file_pb.ts";
import { create, hasField, KINDS, type Payload } from "../../images/index.ts";
import * as bpf from "../../kernel/abi/bpf.ts";
import { F_DUPFD, O_ACCMODE, O_RDONLY, O_WRONLY } from "../../kernel/abi/fcntl.ts";
import { SYS_bpf, SYS_fcntl } from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import { closeFd, readAt } from "../../sys/file.ts";
import { addressOf, syscall } from "../../sys/host.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan, RestoreContext } from "../kind.ts";
import {
	checkFlags,
	findHandleBlockers,
	hasAnonLink,
	imageFlags,
	nameFd,
	planFlags,
	refuseFd,
	withArticle,
} from "./anon-inode.ts";
import { callBpf, MAX_BTF, readBtf, withBtf } from "./bpf-btf.ts";
import { checkInner, corruptImage } from "./image-checks.ts";
import { keptFilesOf } from "./kept-files.ts";
import { sharedWriter } from "./shared-writer.ts";

const ENOENT = 2;
const ENOSPC = 28;
/** How many elements a first batch asks for; a hash table's longest bucket has to fit. */
const BATCH = 4096;
const DATA_FILE = "bpfmap-data.img";
const TYPES: ReadonlySet<number> = new Set([bpf.BPF_MAP_TYPE_HASH, bpf.BPF_MAP_TYPE_ARRAY]);
/** Lengths in the image are 32 bits wide. */
const MAX_BYTES = 0xffffffff;

const CLOSE = "close it in the program first";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

// ---- bpf(2) ---------------------------------------------------------------------------------------------------------

function readInfo(fd: number): bpf.BpfMapInfo {
	const info = new Uint8Array(bpf.BpfMapInfo.size);
	const attr = bpf.BpfGetInfo.encode({ bpf_fd: fd, info_len: info.length, info: addressOf(info) });
	callBpf("look at a bpf map", bpf.BPF_OBJ_GET_INFO_BY_FD, attr);
	return bpf.BpfMapInfo.read(new DataView(info.buffer));
}

/** Another open file description of a map. The caller closes the descriptor. */
function openById(id: number, flags: number): number {
	const attr = bpf.BpfGetFdById.encode({ map_id: id, open_flags: flags });
	return callBpf(`open bpf map ${id}`, bpf.BPF_MAP_GET_FD_BY_ID, attr);
}

type Types = Partial<Pick<bpfmap_file_entry, "btf" | "btfKeyTypeId" | "btfValueTypeId">>;

interface Content {
	readonly keys: Uint8Array;
	readonly values: Uint8Array;
	readonly count: number;
}

/** All elements of a map that nobody in the tree changes just now. */
function readContent(fd: number, { key_size, value_size, max_entries }: bpf.BpfMapInfo): Content {
	const keys = new Uint8Array(key_size * max_entries);
	const values = new Uint8Array(value_size * max_entries);
	const position = new Uint8Array(8);
	let count = 0;
	for (let batch = BATCH; ; ) {
		const room = Math.min(batch, max_entries - count);
		const attr = bpf.BpfMapBatch.encode({
			in_batch: count === 0 ? 0n : addressOf(position),
			out_batch: addressOf(position),
			keys: addressOf(keys) + BigInt(count * key_size),
			values: addressOf(values) + BigInt(count * value_size),
			count: room,
			map_fd: fd,
		});
		const ret = room === 0 ? -ENOENT : syscall(SYS_bpf, bpf.BPF_MAP_LOOKUP_BATCH, attr, attr.length);
		if (ret === -ENOSPC && room < max_entries - count) {
			batch *= 2;
			continue;
		}
		if (ret < 0 && ret !== -ENOENT) throw new KernelError("bpf", -ret, "read the content of a bpf map");
		const got = room === 0 ? 0 : bpf.BpfMapBatch.read(new DataView(attr.buffer)).count;
		count += Math.min(got, room);
		if (ret === -ENOENT)
			return { keys: keys.subarray(0, count * key_size), values: values.subarray(0, count * value_size), count };
	}
}

// ---- dump -----------------------------------------------------------------------------------------------------------

/** A number that fdinfo shows of a map. */
function shownNumber(file: FdFacts, key: string): number | undefined {
	const text = file.info.extra.get(key)?.[0];
	return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** What sort of map it is, in words. */
function nameType(type: number | undefined): string {
	const name = type === undefined ? undefined : bpf.BPF_MAP_TYPE_NAMES[type];
	return name === undefined ? `of the unknown type ${type ?? ""}`.trimEnd() : withArticle(name);
}

function findMapBlockers(file: FdFacts): CriuError[] {
	const handle = findHandleBlockers(file);
	if (handle.length > 0) return handle;
	const type = shownNumber(file, "map_type");
	if (type !== undefined && TYPES.has(type)) {
		const { key_size, value_size, max_entries, ifindex } = readInfo(file.ownFd);
		if (ifindex !== 0) return [refuseFd(file, "is kept by a network device (offloaded)", CLOSE)];
		if (Math.max(key_size, value_size) * max_entries <= MAX_BYTES) return [];
		return [refuseFd(file, "may hold more than images can (4 GiB)", CLOSE)];
	}
	return [
		refuseFd(file, `is a bpf map, ${nameType(type)}: only plain hash tables and arrays show all of their state`, CLOSE),
	];
}

/** Writes the content of a map, once for all who have it open. */
function dumpContent(info: bpf.BpfMapInfo, context: DumpContext): void {
	context.once(`bpf-map:${info.id}`, () => {
		// The program's own descriptor may not be for reading.
		const fd = openById(info.id, bpf.BPF_F_RDONLY);
		try {
			const { keys, values, count } = readContent(fd, info);
			const sizes = { mapId: info.id, keysBytes: keys.length, valuesBytes: values.length, count };
			const writer = sharedWriter(KINDS.BPFMAP_DATA, context);
			writer.write(create(bpfmap_data_entrySchema, sizes));
			writer.writePayload(keys);
			writer.writePayload(values);
		} finally {
			closeFd(fd);
		}
		return true;
	});
}

/** What is known of the types of a map, once for all who have it open. */
function dumpTypes(info: bpf.BpfMapInfo, file: FdFacts, context: DumpContext): Types {
	if (info.btf_id === 0) return {};
	let isFirst = false;
	const btf = context.once(`bpf-btf:${info.id}`, () => {
		isFirst = true;
		return readBtf(info.btf_id);
	});
	if (!isFirst) return {};
	if (btf !== undefined) return { btf, btfKeyTypeId: info.btf_key_type_id, btfValueTypeId: info.btf_value_type_id };
	log.warn(`${nameFd(file)}: its types are the kernel's own (BTF ${info.btf_id}), which isn't kept, only its content`);
	return {};
}

function dumpMap(file: FdFacts, id: number, context: DumpContext): file_entry {
	const info = readInfo(file.ownFd);
	const types = dumpTypes(info, file, context);
	dumpContent(info, context);
	const end = info.name.indexOf(0);
	return create(file_entrySchema, {
		type: fd_types.BPFMAP,
		id,
		bpf: create(bpfmap_file_entrySchema, {
			id,
			flags: imageFlags(file),
			pos: 0n,
			fown: file.fown,
			mapType: info.type,
			keySize: info.key_size,
			valueSize: info.value_size,
			mapId: info.id,
			maxEntries: info.max_entries,
			mapFlags: info.map_flags,
			memlock: BigInt(shownNumber(file, "memlock") ?? 0),
			frozen: shownNumber(file, "frozen") === 1,
			mapName: decoder.decode(info.name.subarray(0, end < 0 ? info.name.length : end)),
			ifindex: info.ifindex,
			...(info.map_extra === 0n ? {} : { mapExtra: info.map_extra }),
			...types,
		}),
	});
}

// ---- restore --------------------------------------------------------------------------------------------------------

interface StoredContent extends bpfmap_data_entry {
	readonly payload: Payload;
}

/** Where the content of each map lies, by map id. @throws ImageError */
function findContents(context: RestoreContext): ReadonlyMap<number, StoredContent> {
	return context.once(`contents:${DATA_FILE}`, () => {
		const contents = new Map<number, StoredContent>();
		using reader = context.dir.findReader(KINDS.BPFMAP_DATA);
		for (let entry = reader?.next(); reader !== undefined && entry !== undefined; entry = reader.next()) {
			if (contents.has(entry.mapId)) throw corruptImage(DATA_FILE, `map_id ${entry.mapId} twice`);
			const payload = reader.takePayload(entry.keysBytes + entry.valuesBytes);
			contents.set(entry.mapId, { ...entry, payload });
		}
		return contents;
	});
}

function checkContent(map: bpfmap_file_entry, { mapId, count, keysBytes, valuesBytes }: bpfmap_data_entry): void {
	if (count > map.maxEntries || keysBytes !== count * map.keySize || valuesBytes !== count * map.valueSize)
		throw corruptImage(DATA_FILE, `map ${mapId} has ${count} keys of ${keysBytes} and values of ${valuesBytes} bytes`);
}

function fill(fd: number, map: bpfmap_file_entry, content: StoredContent, context: RestoreContext): void {
	checkContent(map, content);
	const { count, keysBytes, payload } = content;
	if (count === 0) return;
	const image = context.dir.openFile(DATA_FILE);
	if (image === undefined) throw corruptImage(DATA_FILE, "it vanished while it was read");
	let bytes: Uint8Array;
	try {
		bytes = readAt(image, payload.length, payload.offset);
	} finally {
		closeFd(image);
	}
	const attr = bpf.BpfMapBatch.encode({
		keys: addressOf(bytes),
		values: addressOf(bytes) + BigInt(keysBytes),
		count,
		map_fd: fd,
	});
	callBpf(`fill bpf map ${map.mapId}`, bpf.BPF_MAP_UPDATE_BATCH, attr);
}

/** A new map with its content. `types`: the entry that holds them. The caller closes the descriptor. */
function makeMap(map: bpfmap_file_entry, types: bpfmap_file_entry | undefined, context: RestoreContext): number {
	const { mapId, mapType, keySize, valueSize, maxEntries, mapFlags, mapName, ifindex, mapExtra, frozen } = map;
	if (!TYPES.has(mapType)) throw corruptImage("files.img", `map ${mapId} is of type ${mapType}`);
	const name = encoder.encode(mapName);
	const size = bpf.BpfMapInfo.fields.name[2];
	if (name.length >= size || ifindex !== 0) throw corruptImage("files.img", `name or device of map ${mapId}`);
	const map_name = new Uint8Array(size);
	map_name.set(name);
	const make = (described: { btf_fd?: number; btf_key_type_id?: number; btf_value_type_id?: number }) =>
		callBpf(`make bpf map ${mapId}`, bpf.BPF_MAP_CREATE, bpf.BpfMapCreate.encode({ ...described, ...plain }));
	const plain = {
		map_type: mapType,
		key_size: keySize,
		value_size: valueSize,
		max_entries: maxEntries,
		map_flags: mapFlags,
		map_name,
		map_extra: mapExtra,
	};
	const fd =
		types === undefined
			? make({})
			: withBtf(types.btf, (btf) =>
					make({ btf_fd: btf, btf_key_type_id: types.btfKeyTypeId, btf_value_type_id: types.btfValueTypeId }),
				);
	try {
		const content = findContents(context).get(mapId);
		if (content !== undefined) fill(fd, map, content, context);
		if (frozen) callBpf(`freeze bpf map ${mapId}`, bpf.BPF_MAP_FREEZE, bpf.BpfMapFreeze.encode({ map_fd: fd }));
	} catch (error) {
		closeFd(fd);
		throw error;
	}
	return fd;
}

function openFlags({ id, flags }: bpfmap_file_entry): number {
	checkFlags(id, flags);
	const mode = flags & O_ACCMODE;
	return mode === O_RDONLY ? bpf.BPF_F_RDONLY : mode === O_WRONLY ? bpf.BPF_F_WRONLY : 0;
}

const samePart = ({ mapType, keySize, valueSize, maxEntries, mapFlags, mapName }: bpfmap_file_entry): string =>
	JSON.stringify([mapType, keySize, valueSize, maxEntries, mapFlags, mapName]);

/** Descriptors of ours for all entries of one map: nobody else can open it before they're there. */
function openMap(mapId: number, context: RestoreContext): ReadonlyMap<number, number> {
	return context.once(`bpf-map:${mapId}`, () => {
		const entries = [...context.files.values()].flatMap(({ bpf: one }) => (one?.mapId === mapId ? [one] : []));
		const [first] = entries;
		if (first === undefined) throw new BugError(`no entry has bpf map ${mapId}`);
		if (entries.some((one) => samePart(one) !== samePart(first)))
			throw corruptImage("files.img", `entries of map_id ${mapId} differ`);
		const types = entries.find((one) => hasField(one, "btf"));
		if (types !== undefined && (types.btf.length === 0 || types.btf.length > MAX_BTF))
			throw corruptImage("files.img", `the types of map ${mapId} have ${types.btf.length} bytes`);
		const fd = makeMap(first, types, context);
		try {
			const { id } = readInfo(fd);
			return new Map(entries.map((one) => [one.id, openById(id, openFlags(one))]));
		} finally {
			closeFd(fd);
		}
	});
}

function openMapFor(entry: bpfmap_file_entry, context: RestoreContext): number {
	try {
		return openMap(entry.mapId, context).get(entry.id) ?? -1;
	} catch (error) {
		if (!isErrno(error, "ENOSYS", "EPERM")) throw error;
		throw new CriuError("BPF_MAP", `bpf map ${entry.mapId} (${entry.mapName}) can't be made here`, {
			cause: error,
			remedy: "run criu with CAP_BPF and CAP_SYS_ADMIN, on a kernel with CONFIG_BPF_SYSCALL",
		});
	}
}

function planMap(entry: file_entry, { program, plan, context }: FilePlan): OpRef {
	const map = checkInner(entry.id, "bpf map", entry.bpf);
	const number = keptFilesOf(plan).pass(`bpf map file ${map.id}`, () => openMapFor(map, context));
	const fd = program.syscall(`take bpf map file ${map.id}`, SYS_fcntl, [number, F_DUPFD, 0]);
	planFlags(program, fd, map.flags, 0);
	return fd;
}

/** Hash tables and arrays of bpf(2). */
export const bpfMap: FileKind = {
	name: "bpf map",
	type: fd_types.BPFMAP,
	source: "/proc/PID/fdinfo, bpf(2)",
	matches: hasAnonLink("bpf-map"),
	findBlockers: findMapBlockers,
	dump: dumpMap,
	plan: planMap,
};
