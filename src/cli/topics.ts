// SPDX-License-Identifier: GPL-2.0-only
// `criu help TOPIC`: the failures that people meet most, each with what is behind it and what to do.

import { UsageError } from "../errors.ts";
import type { CommandContext } from "./command-context.ts";

interface Topic {
	name: string;
	title: string;
	/** Codes of errors that it explains. */
	codes: readonly string[];
	text: string;
}

export const topics: readonly Topic[] = [
	{
		name: "shell-job",
		title: "a program that was started from a shell",
		codes: ["NOT_SESSION_LEADER", "FOREIGN_SESSION", "TTY_OUTSIDE", "TTY_STDIN"],
		text: `A program started from an interactive shell shares the shell's session and its terminal, which a dump of the
program alone can't take along. Either tell criu that it's so, on both sides:
  criu dump -t PID -D DIR --shell-job
  criu restore -D DIR --shell-job        (in a terminal)
or start the program on its own, so that it has neither:
  setsid PROGRAM </dev/null >OUT 2>&1 &`,
	},
	{
		name: "tcp",
		title: "network connections",
		codes: ["TCP_CONNECTION", "TCP_IN_FLIGHT"],
		text: `A TCP connection has another end that knows nothing of the dump. --tcp-established keeps it (the other end has to
wait meanwhile), --tcp-close closes it: the restored program finds its sockets closed, as after a loss of the network.
--skip-in-flight leaves out connections that the program hasn't accepted yet. Sockets that only listen need nothing.`,
	},
	{
		name: "unix-sockets",
		title: "a local socket whose other end is outside",
		codes: ["EXTERNAL_UNIX_SOCKET", "UNIX_PENDING", "UNIX_QUEUE"],
		text: `A pair of connected unix sockets can be kept when both programs are dumped together: name with -t a process that
is above both. For datagram sockets of a service outside (a log daemon) --ext-unix-sk connects them again by name; a
pair's half is handed over by --external unix[INODE] at the dump and --inherit-fd fd[N]:socket:[INODE] at the restore.`,
	},
	{
		name: "file-locks",
		title: "locks on files",
		codes: ["FILE_LOCKS"],
		text: `A lock that the program holds would be lost while it's gone, and somebody else could take it. Where that's fine
(nobody else uses the file, or everybody is dumped) give --file-locks to dump and to restore.`,
	},
	{
		name: "deleted-files",
		title: "files that are open but have no name any more",
		codes: ["NEEDS_LINK_REMAP", "GHOST_TOO_LARGE"],
		text: `A deleted file travels with its content in the images; --ghost-limit says up to which size. A file that was deleted
under the name by which the program opened it, but has another name still, gets a temporary one with --link-remap; the
restore removes it.`,
	},
	{
		name: "files-changed",
		title: "files that are not as they were at the dump",
		codes: ["FILE_CHANGED", "FILE_MISSING"],
		text: `The images hold names of files, not their content. At the restore all of them have to be there, with the same size,
programs and libraries in the same build: after an upgrade of packages old images don't fit any more. Copy the files
from where they were; for permission bits that changed there is --skip-file-rwx-check.`,
	},
	{
		name: "pid-taken",
		title: "somebody else has the program's pid",
		codes: ["PID_TAKEN"],
		text: `A program is restored with the pid that it had. While another process has that number, end it, or restore into a pid
namespace of its own: criu restore -D DIR --new-pidns. A dump with --leave-running can't be restored while the program
itself still runs, except in that way.`,
	},
	{
		name: "privileges",
		title: "rights that criu needs",
		codes: ["EPERM", "EACCES"],
		text: `criu needs root, or the capabilities CAP_CHECKPOINT_RESTORE and CAP_SYS_PTRACE with --unprivileged. In a container
the runtime's seccomp profile must let it trace (docker: --privileged, or --cap-add with --security-opt
seccomp=unconfined). criu check names what is missing.`,
	},
	{
		name: "images",
		title: "images that are incomplete or damaged",
		codes: ["DUMP_INCOMPLETE", "IMAGE_MISSING", "IMAGE_CORRUPT", "IMAGE_TRUNCATED", "IMAGE_MAGIC"],
		text: `inventory.img is written last: without it the dump didn't finish, and the program runs on as before. Check that -D
names the right folder and that all files were copied (cp -a; the link named parent belongs to them). A full disk or
an interrupted copy shows here.`,
	},
	{
		name: "map-pages",
		title: "memory that is mapped from the images",
		codes: ["UNSAFE_IMAGES", "MAPPED_IMAGES_CHANGED", "IMAGES_MAPPED", "MAP_PAGES"],
		text: `restore --map-pages doesn't copy private memory but maps it from pages-*.img, copy-on-write: it takes no time, and copies
of a program (--new-pidns) share the pages that they don't write. The images have to stay what they are as long as the
program runs: they must be root's, and writable by nobody else; removing or moving them does no harm, but who writes to
them changes the program, and who cuts them ends it (SIGBUS). Against root itself: chattr +i DIR/pages-*.img after the
first restore. The program sees the images in /proc/PID/maps; its memory counts as locked, as far as it was touched,
and can't be given back by madvise (EINVAL), which most allocators take well. Some end their program instead (PartitionAlloc,
so Chromium and Electron): try yours once, under load; strace -f -e madvise,mremap shows what is refused. A child that it
forks later gets the images' content, not zeros, from MADV_DONTNEED. Nor is it for programs that let parts of large
mappings grow by mremap. Restore all of these without --map-pages: there's no other way that is safe.
Copied as ever: heap, stack, shared memory, huge and locked pages, small pieces; all, where the file system holds no
trusted attributes or is mounted noexec. A later dump has all of the memory again, without the old images.`,
	},
	{
		name: "progress",
		title: "how far a long dump or restore has come",
		codes: [],
		text: `On a terminal a line on stderr tells it, from the second second on, and is gone at the end. For programs there is
--progress-fd FD: a line of JSON at the begin, four times a second, and at the end. Its fields:
  event    begin, progress or end          what     dump, pre-dump, restore or page-server
  bytes    of memory, moved so far         total    expected by now, 0 where that isn't known (yet)
  ms       since the begin                 rate     bytes in a second, on average
  left_ms  expected, -1: unknown           ok       at the end: whether it went well
A descriptor that is full loses lines, a closed one all of them; neither stops or delays anything.`,
	},
	{
		name: "zstd",
		title: "images with compressed pages",
		codes: ["ZSTD_CONFLICT"],
		text: `dump --zstd writes pages-N.zst in place of pages-N.img. Restores of ours take them as they are, and so do lazy-pages, page-server
--lazy-pages and inspect; damage is found by checksums before anything runs. The pages wait in memory, beyond 64 MiB in a
file without a name in the images directory, until they are where they belong, and are freed meanwhile. --map-pages copies
them instead, and --auto-dedup and dedup free nothing of them. The program stands still while they are compressed: a second for
a few hundred MB. To have images that CRIU can read:
  for f in DIR/pages-*.zst; do zstd -d "$f" -o "\${f%.zst}.img" && rm "$f"; done
A dump with --zstd is a whole one to files: no pre-dumps, page server, snapshot or lazy source. In a pipe (-D -) zstd(1) does it.`,
	},
	{
		name: "stream",
		title: "from a dump to a restore through a pipe",
		codes: [
			"STREAM_BROKEN",
			"STREAM_CUT",
			"STREAM_CORRUPT",
			"STREAM_VERSION",
			"STREAM_TERMINAL",
			"STREAM_CONFLICT",
			"NO_ROOM_FOR_PAGES",
		],
		text: `With - in place of the images directory all images go through standard output and input; nothing is written to disk:
  criu dump -t PID -D - | ssh HOST criu restore -d -D -
  criu dump -t PID -D - | zstd >FILE           zstd -dc FILE | criu restore -d -D -
Everything else is printed on standard error; -o FILE -v4 writes logs, relative to -W DIR or the current directory, and
statistics are kept with -W only. The program stands still until all is sent. A dump whose reader goes away fails, and the
program runs on; a restore never takes a stream that was cut for a whole one, and leaves nothing behind when it fails. But
once all was read the dump ends the program, and doesn't know what becomes of the restore. So keep it until you know:
  set -o pipefail; criu dump -s -t PID -D - | ssh HOST criu restore -d -D - && kill -9 PIDS || kill -CONT PIDS
PIDS are all of the program's processes: -s has stopped each of them.
Memory of the first process goes straight from the stream into it. That of its children, and shared memory, waits in the
restore's memory and is freed as it's copied, so that it never takes more than the program itself; with -W DIR what is beyond
64 MiB waits there, in files without a name that are gone when criu ends. With --stream they lie in the images directory
(or -W), and so does the first process's memory of images by CRIU, which doesn't say ahead what a restore has to know of it.`,
	},
	{
		name: "not-supported",
		title: "things that no dump can take along",
		codes: ["UNSUPPORTED_FILE", "UNSUPPORTED_MAPPING", "BLOCKED", "TRACED", "UNREAD_EVENTS"],
		text: `Some things have their state where nobody can read it: io_uring, hardware, a debugger that traces the program.
criu check --pid PID lists all of them without touching the program. Close them in the program before the dump, or
configure it not to use them (Node: UV_USE_IO_URING=0); what lies outside may be handed over by --external.`,
	},
];

/** Prints the topics, or what there is on a topic or an error code; the exit code. */
export function runHelp({ words, print }: Pick<CommandContext, "words" | "print">): number {
	const [asked] = words;
	if (asked === undefined) {
		print(`${listTopics()}\nThe code at the end of an error names its topic as well. All options: criu --help\n`);
		return 0;
	}
	const topic = topics.find(({ name, codes }) => name === asked.toLowerCase() || codes.includes(asked.toUpperCase()));
	if (topic === undefined) {
		throw new UsageError("UNKNOWN_TOPIC", `there is no help on ${asked}`, {
			remedy: `name one of ${topics.map(({ name }) => name).join(", ")}, or the code of an error`,
		});
	}
	print(`${topic.name}: ${topic.title}\n\n${topic.text}\n\nCodes: ${topic.codes.join(", ")}\n`);
	return 0;
}

/** The topics, one on a line. */
export function listTopics(): string {
	return `Topics for criu help TOPIC:\n${topics.map(({ name, title }) => `  ${name.padEnd(16)}${title}`).join("\n")}\n`;
}
