// SPDX-License-Identifier: GPL-2.0-only
// A file system of one file, served by hand: the little of FUSE's protocol that it takes. The kernel is to ask for everything anew
// each time.
#ifndef FUSE_H
#define FUSE_H
#include "scenario.h"
#include <linux/fuse.h>
#include <sys/mount.h>

static int device = -1;

static void reply(uint64_t unique, int error, const void *body, size_t length)
{
	char answer[1024];
	struct fuse_out_header head = { .len = sizeof(head) + length, .error = error, .unique = unique };
	memcpy(answer, &head, sizeof(head));
	memcpy(answer + sizeof(head), body, length);
	must_be(write(device, answer, head.len) == (ssize_t)head.len);
}

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

// Mounts it; where that can't be done it says why not.
static const char *mount_served(const char *path)
{
	char options[128];
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return "no FUSE in this kernel";
	must(mkdir(path, 0755));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	return mount("none", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0 ? "file systems can't be mounted here" : NULL;
}

// Answers one request; false when the file system is gone.
static int serve_one(void)
{
	static char request[1 << 16];
	ssize_t length = read(device, request, sizeof(request));
	if (length < 0 && errno == ENODEV)
		return 0;
	if (length >= (ssize_t)sizeof(struct fuse_in_header))
		answer((struct fuse_in_header *)request);
	return 1;
}
#endif
