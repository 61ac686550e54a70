// SPDX-License-Identifier: GPL-2.0-only
// Kinds of file that exist and that this version can't dump: what each is, why it's refused, what the user can do.

import { fd_types } from "../../images/gen/fdinfo_pb.ts";
import { S_IFCHR, S_IFMT } from "../../kernel/abi/stat.ts";
import type { FdFacts, UnsupportedFileKind } from "../kind.ts";
import { DEVICES, hasNumber, MISC, nameDriver } from "./device-nodes.ts";
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
const OF_DEVICE = "it belongs to a device";
const VIRTUAL_MACHINE = "it belongs to the hardware's virtual machine";
const END_MACHINE = "end the virtual machine first";

/** In the order of matching. */
export const UNSUPPORTED_KINDS: readonly UnsupportedFileKind[] = [
	anon("bpf program", "bpf-prog", undefined, "the kernel doesn't give it back as it was loaded", CLOSE),
	anon("bpf program at a raw tracepoint", "bpf-raw-tracepoint", undefined, "it's tied to the kernel", CLOSE),
	anon("bpf link", "bpf_link", undefined, "what it attaches a program to is the kernel's, not the process's", CLOSE),
	anon("bpf link", "bpf-link", undefined, "what it attaches a program to is the kernel's, not the process's", CLOSE),
	anon("bpf iterator", "bpf_iter", undefined, "the kernel doesn't tell how far it is", CLOSE),
	anon(
		"request for bpf statistics",
		"bpf-stats",
		undefined,
		"it holds for the whole kernel as long as it's open",
		CLOSE,
	),
	anon(
		"description of bpf types (BTF)",
		"btf",
		undefined,
		"it has a number in the kernel that can't be had again",
		CLOSE,
	),
	anon("io_uring", "[io_uring]", undefined, NO_STATE, "turn io_uring off in the program"),
	anon("userfaultfd", "[userfaultfd]", undefined, NO_STATE, CLOSE),
	anon("perf event", "[perf_event]", undefined, NO_STATE, "stop the tracing (perf) first"),
	anon("Landlock ruleset", "[landlock-ruleset]", undefined, NO_STATE, CLOSE),
	anon("seccomp listener", "seccomp notify", undefined, NO_STATE, CLOSE),
	anon("file system context (fsopen, fspick)", "[fscontext]", undefined, NO_STATE, CLOSE),
	anon("request of on-demand caching (cachefiles)", "[cachefiles]", undefined, "somebody waits for its data", CLOSE),
	anon("KVM object", "kvm", undefined, VIRTUAL_MACHINE, END_MACHINE),
	anon("memory of a virtual machine", "[kvm-gmem]", undefined, VIRTUAL_MACHINE, END_MACHINE),
	anon("virtual machine of Hyper-V", "mshv", undefined, VIRTUAL_MACHINE, END_MACHINE),
	anon("Nitro enclave", "ne-vm", undefined, VIRTUAL_MACHINE, "end the enclave first"),
	anon("device given to user space (VFIO)", "[vfio", undefined, OF_DEVICE, CLOSE),
	anon("queue of an IOMMU", "[iommufd", undefined, OF_DEVICE, CLOSE),
	anon("sync file", "sync_file", undefined, "it belongs to a graphics device", CLOSE),
	anon("sync object", "syncobj_file", undefined, "it belongs to a graphics device", CLOSE),
	anon("performance stream of a graphics device", "[i915_perf]", undefined, OF_DEVICE, CLOSE),
	anon("performance stream of a graphics device", "[xe_", undefined, OF_DEVICE, CLOSE),
	anon("NT synchronisation object", "ntsync", undefined, NO_STATE, CLOSE),
	anon("line of GPIO", "gpio", undefined, OF_DEVICE, CLOSE),
	anon("channel of a sensor (IIO)", "iio:", undefined, OF_DEVICE, CLOSE),
	anon("channel of an InfiniBand device", "[infiniband", undefined, OF_DEVICE, CLOSE),
	anon("request to a media device", "request", undefined, OF_DEVICE, CLOSE),
	refuse("DMA buffer", undefined, hasLink("/dmabuf:"), "it's memory of a device", CLOSE),
	refuse(
		"file of an unknown kind (anonymous inode)",
		undefined,
		hasLink("anon_inode:"),
		"nothing is known about how to dump it",
		"close it in the program first, and report the kind of file with the log",
	),
	refuse("network tunnel", fd_types.TUNF, hasNumber(MISC, 200), LATER, ORIGINAL),
	...DEVICES,
	{
		...refuse("device", undefined, hasType(S_IFCHR), "its state is in the device's driver, not in the process", CLOSE),
		detail: nameDriver,
	},
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
