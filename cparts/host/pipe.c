/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks into a pipe without consuming anything. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Gives 0; copied is less than bytes when the content is larger than the room, or when not all could be copied. */
int64_t cr_pipe_peek(struct cr_pipe_peek *request)
{
	int bytes = 0;
	int size = fcntl(request->fd, F_GETPIPE_SZ);

	if (size < 0 || ioctl(request->fd, FIONREAD, &bytes) < 0)
		return -errno;
	request->size = size;
	request->bytes = bytes;
	request->copied = 0;
	if (bytes == 0 || (uint32_t)bytes > request->capacity)
		return 0;
	if ((uint32_t)size > request->other_size) {
		int got = fcntl(request->write_end, F_SETPIPE_SZ, size);

		if (got < 0)
			return -errno;
		request->other_size = got;
	}
	ssize_t left = tee(request->fd, request->write_end, bytes, SPLICE_F_NONBLOCK);

	if (left < 0)
		return errno == EAGAIN ? 0 : -errno;
	while (left > 0) {
		ssize_t got = read(request->read_end, (char *)request->data + request->copied, left);

		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		request->copied += got;
		left -= got;
	}
	return 0;
}
