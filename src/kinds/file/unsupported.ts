// SPDX-License-Identifier: GPL-2.0-only
// Kinds of file that exist and that this version can't dump: what each is, why it's refused, what the user can do.

import { fd_types } from "../../images/gen/fdinfo_pb.ts";
import { S_IFCHR, S_IFMT } from "../../kernel/abi/stat.ts";
import type { FdFacts, UnsupportedFileKind } from "../kind.ts";
import { startsWith } from "./file-path.ts";

const encoder = new TextEncoder();
const LATER = "this version doesn't dump it";
const CLOSE = "close it in the program first";
const ORIGINAL = "close it in the program first, or use the original criu";

type Matcher = (file: FdFacts) => boolean;

function hasLink(text: string): Matcher {
	const bytes = encoder.encode(text);
	return ({ link }) => startsWith(link, bytes);
}

function hasType(type: number): Matcher {
	return ({ stat }) => (stat.mode & S_IFMT) === type;
}

function refuse(name: string, type: fd_types | undefined, matches: Matcher, reason: string, remedy: string) {
	return { name, type, unsupported: true, matches, reason, remedy } as const satisfies UnsupportedFileKind;
}

/** An anonymous inode, by what its link says. */
function anon(name: string, link: string, type: fd_types | undefined, reason = LATER, remedy = ORIGINAL) {
	return refuse(name, type, hasLink(`anon_inode:${link}`), reason, remedy);
}

const NO_STATE = "the kernel doesn't tell its state";

/** In the order of matching. */
export const UNSUPPORTED_KINDS: readonly UnsupportedFileKind[] = [
	anon("bpf program", "bpf-prog", undefined, NO_STATE, CLOSE),
	anon("bpf link", "bpf", undefined, NO_STATE, CLOSE),
	anon("io_uring", "[io_uring]", undefined, NO_STATE, "turn io_uring off in the program"),
	anon("userfaultfd", "[userfaultfd]", undefined, NO_STATE, CLOSE),
	anon("perf event", "[perf_event]", undefined, NO_STATE, "stop the tracing (perf) first"),
	anon("Landlock ruleset", "[landlock-ruleset]", undefined, NO_STATE, CLOSE),
	anon("seccomp listener", "seccomp notify", undefined, NO_STATE, CLOSE),
	anon("file system context", "[fscontext]", undefined, NO_STATE, CLOSE),
	anon("KVM object", "kvm", undefined, "it belongs to the hardware's virtual machine", "end the virtual machine first"),
	anon("sync file", "sync_file", undefined, "it belongs to a graphics device", CLOSE),
	refuse("secret memory", undefined, hasLink("/secretmem"), "nobody but the process may read it", CLOSE),
	refuse("DMA buffer", undefined, hasLink("/dmabuf:"), "it's memory of a device", CLOSE),
	refuse(
		"network tunnel",
		fd_types.TUNF,
		({ stat }) => (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 10 && stat.rdevMinor === 200,
		LATER,
		ORIGINAL,
	),
	refuse("device", undefined, hasType(S_IFCHR), "its state is in the device's driver, not in the process", CLOSE),
];

/** Catches whatever no other kind knows; comes last. */
export const unknownFile: UnsupportedFileKind = {
	name: "file of an unknown kind",
	type: undefined,
	unsupported: true,
	matches: () => true,
	reason: "nothing is known about how to dump it",
	remedy: "close it in the program first, and report the kind of file with the log",
};
