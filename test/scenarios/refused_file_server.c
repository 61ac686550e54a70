// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a program that serves a file system (FUSE) of which it has a file open, before anything touches that: nobody
// would answer. It's served by hand here, by the little of the kernel's protocol that one file takes.
// @expect refused FILE_SERVER
// @expect-text serves a file system
#include "scenario.h"
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/prctl.h>

static int device;

static void reply(uint64_t unique, int error, const void *body, size_t length)
{
	char answer[1024];
	struct fuse_out_header head = { .len = sizeof(head) + length, .error = error, .unique = unique };
	memcpy(answer, &head, sizeof(head));
	memcpy(answer + sizeof(head), body, length);
	must_be(write(device, answer, head.len) == (ssize_t)head.len);
}

// The kernel is to ask for everything anew each time.
static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){ .ino = node, .mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644, .nlink = 1 };
}

static void answer(const struct fuse_in_header *in)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 };
	struct fuse_attr_out attr = { .attr = attributes(in->nodeid) };
	struct fuse_entry_out entry = { .nodeid = 2, .attr = attributes(2) };
	struct fuse_open_out opened = { .fh = 1 };
	switch (in->opcode) {
	case FUSE_INIT:
		return reply(in->unique, 0, &init, sizeof(init));
	case FUSE_GETATTR:
		return reply(in->unique, 0, &attr, sizeof(attr));
	case FUSE_LOOKUP:
		return reply(in->unique, 0, &entry, sizeof(entry));
	case FUSE_OPEN:
		return reply(in->unique, 0, &opened, sizeof(opened));
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		return reply(in->unique, -ENOSYS, NULL, 0);
	}
}

static void serve(void)
{
	static char request[1 << 16];
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
	for (;;) {
		ssize_t length = read(device, request, sizeof(request));
		if (length < 0 && errno == ENODEV)
			_exit(0);
		if (length >= (ssize_t)sizeof(struct fuse_in_header))
			answer((struct fuse_in_header *)request);
	}
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char options[128];
	struct stat status;
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		skip("no FUSE in this kernel");
	must(mkdir("served", 0755));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (mount("none", "served", "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		skip("file systems can't be mounted here");
	if (must(fork()) == 0)
		serve();
	must(close(device));
	int file = must(open("served/file", O_RDONLY));
	must(fstat(file, &status));
	ready();
	wait_for_trigger();
	must(fstat(file, &status));
	expect("inode of the file", 2, status.st_ino);
	must(close(file));
	must(umount("served"));
	pass();
}
