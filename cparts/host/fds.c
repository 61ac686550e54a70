/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel tells of many descriptors of another process, in one call. */
#define _GNU_SOURCE
#include "deaf-thread.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KCMP_FILE 0
#define F_GETOWNER_UIDS 17

_Static_assert(sizeof(((struct cr_fd *)0)->status) == offsetof(struct statx, stx_dev_minor) + 4, "part of statx");

struct folders {
	int fdinfo;
	int fd;
};

static int open_folder(int32_t pid, const char *name)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int64_t failed(struct cr_fds *request, int32_t call)
{
	request->call = call;
	return -errno;
}

/* The text of fdinfo. The kernel gives it as one record: a short read is its end. */
static int64_t read_info(struct cr_fds *request, const struct folders *at, const char *name, struct cr_fd *one)
{
	char *to = (char *)request->text + request->used;
	uint64_t room = request->text_size - request->used;
	uint64_t length = 0;
	int fd = openat(at->fdinfo, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return failed(request, CR_FDS_FDINFO);
	for (;;) {
		ssize_t got = read(fd, to + length, room - length);

		if (got < 0) {
			int64_t ret = failed(request, CR_FDS_READ);

			close(fd);
			return ret;
		}
		length += got;
		if (length < room)
			break;
		close(fd);
		return -ENOBUFS;
	}
	close(fd);
	one->info_at = request->used;
	one->info_length = length;
	request->used += length;
	return 0;
}

static int64_t read_link(struct cr_fds *request, const struct folders *at, const char *name, struct cr_fd *one)
{
	char *to = (char *)request->text + request->used;
	uint64_t room = request->text_size - request->used;
	ssize_t length = readlinkat(at->fd, name, to, room);

	if (length < 0)
		return failed(request, CR_FDS_READLINK);
	if ((uint64_t)length == room)
		return -ENOBUFS;
	one->link_at = request->used;
	one->link_length = length;
	request->used += length;
	return 0;
}

/* What is at the path of the link. */
static void look_at_path(const struct cr_fds *request, struct cr_fd *one)
{
	const char *link = (const char *)request->text + one->link_at;
	char path[PATH_MAX + 64];
	struct statx status;

	one->path_error = -EINVAL;
	if (one->link_length == 0 || link[0] != '/')
		return;
	one->path_error = -ENAMETOOLONG;
	if (request->prefix_length + one->link_length >= sizeof(path))
		return;
	memcpy(path, (const void *)request->prefix, request->prefix_length);
	memcpy(path + request->prefix_length, link, one->link_length);
	path[request->prefix_length + one->link_length] = 0;
	one->path_error = 0;
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status) < 0)
		one->path_error = -errno;
	else
		memcpy(one->path_status, &status, sizeof(one->path_status));
}

/* Handles (O_PATH) have no owner. */
static int64_t read_owner(struct cr_fds *request, struct cr_fd *one)
{
	struct f_owner_ex owner;

	if (fcntl(one->own_fd, F_GETOWN_EX, &owner) < 0)
		return errno == EBADF ? 0 : failed(request, CR_FDS_FCNTL);
	one->signum = fcntl(one->own_fd, F_GETSIG);
	if (one->signum < 0)
		return failed(request, CR_FDS_FCNTL);
	one->owner_type = owner.type;
	one->owner = owner.pid;
	if (owner.pid != 0 && fcntl(one->own_fd, F_GETOWNER_UIDS, one->owner_uids) < 0)
		return failed(request, CR_FDS_FCNTL);
	return 0;
}

static int64_t look(struct cr_fds *request, const struct folders *at, struct cr_fd *one)
{
	struct statx status;
	char name[16];
	int64_t ret;

	snprintf(name, sizeof(name), "%d", one->fd);
	ret = read_info(request, at, name, one);
	if (ret < 0)
		return ret;
	one->shared = request->other_pid != 0 && one->other_fd >= 0 &&
		      syscall(SYS_kcmp, request->pid, request->other_pid, KCMP_FILE, one->fd, one->other_fd) == 0;
	if (one->shared)
		return 0;
	ret = read_link(request, at, name, one);
	if (ret < 0)
		return ret;
	/* Before there is a copy: to close that can take for ever where the file system doesn't answer, also when we're killed, and
	 * what stands still because of us would wait for it. */
	if (statx(at->fd, name, 0, STATX_BASIC_STATS, &status) < 0)
		return failed(request, CR_FDS_STATX);
	memcpy(one->status, &status, sizeof(one->status));
	look_at_path(request, one);
	one->own_fd = syscall(SYS_pidfd_getfd, request->pidfd, one->fd, 0);
	if (one->own_fd < 0)
		return failed(request, CR_FDS_GETFD);
	ret = read_owner(request, one);
	if (ret < 0) {
		close(one->own_fd);
		one->own_fd = -1;
	}
	return ret;
}

/* Looks at a list one by one, for as long as there is room for text. */
static int64_t look_at_all(struct cr_fds *request)
{
	struct cr_fd *list = (struct cr_fd *)request->list;
	struct folders at = { open_folder(request->pid, "fdinfo"), open_folder(request->pid, "fd") };
	int64_t ret = at.fdinfo < 0 || at.fd < 0 ? failed(request, CR_FDS_FDINFO) : 0;

	request->done = 0;
	while (ret == 0 && request->done < request->nr) {
		uint64_t used = request->used;

		list[request->done].own_fd = -1;
		ret = look(request, &at, &list[request->done]);
		if (ret == 0)
			request->done++;
		else
			request->used = used;
	}
	if (at.fdinfo >= 0)
		close(at.fdinfo);
	if (at.fd >= 0)
		close(at.fd);
	return ret;
}

/* The latter half of a list, which another thread looks at: its text comes into the latter half of the room. */
struct half {
	struct cr_fds request;
	int64_t ret;
	pthread_t thread;
	int started;
};

static void *look_at_half(void *arg)
{
	struct half *half = arg;

	half->ret = look_at_all(&half->request);
	return NULL;
}

static void start_half(struct half *half, struct cr_fds *request)
{
	uint64_t middle = request->text_size / 2;
	uint32_t nr = request->nr / 2;

	half->request = *request;
	half->request.list += (request->nr - nr) * sizeof(struct cr_fd);
	half->request.nr = nr;
	half->request.used = middle;
	half->started = start_deaf_thread(&half->thread, look_at_half, half) == 0;
	if (half->started) {
		request->nr -= nr;
		request->text_size = middle;
	}
}

/* Puts the halves together; what the latter has is of no use where the former isn't whole. */
static int64_t end_half(struct half *half, struct cr_fds *request, int64_t ret)
{
	struct cr_fd *list = (struct cr_fd *)half->request.list;
	uint64_t from = request->text_size;
	uint64_t length;

	pthread_join(half->thread, NULL);
	request->nr += half->request.nr;
	request->text_size = half->request.text_size;
	if (ret < 0) {
		for (uint32_t i = 0; i < half->request.done; i++)
			if (list[i].own_fd >= 0)
				close(list[i].own_fd);
		return ret;
	}
	length = half->request.used - from;
	memmove((char *)request->text + request->used, (const char *)request->text + from, length);
	for (uint32_t i = 0; i < half->request.done; i++) {
		list[i].info_at -= from - request->used;
		list[i].link_at -= from - request->used;
	}
	request->used += length;
	request->done += half->request.done;
	request->call = half->request.call;
	return half->ret;
}

/* Gives how many of the list are told of: fewer when there's no room for more text. -ENOBUFS when not even for one.
 * After another error request->done were, whose copies are open. */
int64_t cr_fds(struct cr_fds *request)
{
	struct half half = { .started = 0 };
	int64_t ret;

	request->used = 0;
	if (request->by_two && request->nr > 1)
		start_half(&half, request);
	ret = look_at_all(request);
	if (half.started)
		ret = end_half(&half, request, ret);
	return ret == 0 || (ret == -ENOBUFS && request->done > 0) ? request->done : ret;
}

/* Closes descriptors of ours; numbers that follow each other, which most do, by one call. */
int64_t cr_close_all(const int32_t *fds, uint64_t nr)
{
	for (uint64_t i = 0, end; i < nr; i = end) {
		for (end = i + 1; end < nr && fds[end] == fds[end - 1] + 1; end++)
			;
		if (end - i == 1 || syscall(SYS_close_range, fds[i], fds[end - 1], 0) < 0)
			for (uint64_t k = i; k < end; k++)
				close(fds[k]);
	}
	return 0;
}
