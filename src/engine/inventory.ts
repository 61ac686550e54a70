// SPDX-License-Identifier: GPL-2.0-only
// inventory.img: written last, so that its presence means a finished dump; read first.

import { readFileSync } from "node:fs";
import { ImageError } from "../errors.ts";
import type { task_kobj_ids_entry } from "../images/gen/core_pb.ts";
import {
	type inventory_entry,
	inventory_entrySchema,
	lsmtype,
	plugins_entrySchema,
} from "../images/gen/inventory_pb.ts";
import { create, hasField, type ImageDir, KINDS } from "../images/index.ts";

import type { PreDumpMode } from "../options.ts";
import type { TrackerAddress } from "./tracker.ts";

const IMG_VERSION = 2;
const NETWORK_LOCK_IPTABLES = 0;

/** The images that a dump before this one may have left and that this one may not write: all without an id in the name. */
export function removeOldImages(dir: ImageDir): void {
	if (dir.isStreamed) return;
	dir.remove(KINDS.INVENTORY);
	const names = new Set(Object.values(KINDS).map((kind) => kind.file));
	names.delete(KINDS.CPUINFO.file); // criu cpuinfo dump may have written it for this very dump
	for (const name of dir.list()) if (names.has(name)) dir.removeFile(name);
}

/** Finishes a dump. */
export function writeInventory(
	dir: ImageDir,
	rootIds: task_kobj_ids_entry,
	facts: { tcpClose: boolean; uprobes: boolean; tracker: TrackerAddress | undefined },
): void {
	const inventory = create(inventory_entrySchema, {
		imgVersion: IMG_VERSION,
		fdinfoPerId: true,
		rootIds,
		nsPerId: true,
		rootCgSet: 1,
		lsmtype: lsmtype.NO_LSM,
		...(facts.tcpClose ? { tcpClose: true } : {}),
		...(facts.uprobes ? { allowUprobes: true } : {}),
		...trackerFields(facts.tracker),
		networkLockMethod: NETWORK_LOCK_IPTABLES,
		pluginsEntry: create(plugins_entrySchema, { plugins: [] }),
		dumpCriuRunId: crypto.randomUUID(),
	});
	writeLast(dir, inventory);
}

function writeLast(dir: ImageDir, inventory: inventory_entry): void {
	try {
		dir.writeEntry(KINDS.INVENTORY, undefined, inventory);
	} catch (error) {
		dir.remove(KINDS.INVENTORY);
		throw error;
	}
}

/** Microseconds since the host was started; the original finds by it that a pid was used again. */
function readUptime(): bigint {
	const [seconds = "0"] = readFileSync("/proc/uptime", "latin1").split(" ");
	return BigInt(Math.round(Number(seconds) * 1e6));
}

function trackerFields(tracker: TrackerAddress | undefined) {
	if (tracker === undefined) return {};
	return {
		dumpUptime: readUptime(),
		trackToken: tracker.token,
		trackerPid: tracker.pid,
		trackerState: tracker.stateFd,
	};
}

/** Finishes a pre-dump. It says of itself that nothing can be restored from it. */
export function writePreDumpInventory(dir: ImageDir, mode: PreDumpMode, tracker: TrackerAddress | undefined): void {
	writeLast(
		dir,
		create(inventory_entrySchema, {
			imgVersion: 0,
			preDumpMode: mode === "splice" ? 1 : 2,
			pluginsEntry: create(plugins_entrySchema, { plugins: [] }),
			...trackerFields(tracker),
		}),
	);
}

/** The inventory; undefined when it isn't there, though other images are, or not whole. */
function findInventory(dir: ImageDir): inventory_entry | undefined {
	try {
		return dir.readInventory();
	} catch (error) {
		if (!(error instanceof ImageError)) throw error;
		if (error.code === "IMAGE_TRUNCATED") return undefined;
		if (error.code !== "IMAGE_MISSING") throw error;
		if (dir.list().some((name) => /^(core|pagemap|pages)-\d+\.img$/.test(name))) return undefined;
		throw error;
	}
}

/**
 * Reads and checks the inventory.
 *
 * @throws ImageError DUMP_INCOMPLETE when other images are there without it
 */
export function readInventory(dir: ImageDir): inventory_entry & { rootIds: task_kobj_ids_entry } {
	const inventory = findInventory(dir);
	if (inventory === undefined)
		throw new ImageError(
			"DUMP_INCOMPLETE",
			`the dump in ${dir.path} didn't finish: inventory.img is missing or not whole`,
			{
				file: "inventory.img",
				remedy: "dump again; the process wasn't ended by an unfinished dump",
			},
		);
	const corrupt = (message: string) =>
		new ImageError("IMAGE_CORRUPT", `inventory.img: ${message}`, {
			file: "inventory.img",
			remedy: "dump again with criu 3.0 or later",
		});
	if (!inventory.fdinfoPerId) throw corrupt("the images are of an old kind, without a table of descriptors per id");
	const { rootIds } = inventory;
	if (rootIds === undefined) throw corrupt("the ids of the dumping program are missing");
	if (hasField(inventory, "rootCgSet") && inventory.rootCgSet === 0) throw corrupt("the cgroup set is 0");
	return { ...inventory, rootIds };
}
