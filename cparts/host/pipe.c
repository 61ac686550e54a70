/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks into a pipe without consuming anything. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What has been copied, into the room behind what is there. */
static int64_t take_all(struct cr_pipe_peek *request, uint64_t left)
{
	while (left > 0) {
		ssize_t got = read(request->read_end, (char *)request->data + request->copied, left);

		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		request->copied += got;
		left -= got;
		request->packets |= left > 0; /* at whose border a read ends */
	}
	return 0;
}

/* Empties the other pipe; a read gives one packet at most. */
static int64_t drop_all(struct cr_pipe_peek *request)
{
	int left = 1;

	request->copied = 0;
	while (left > 0) {
		if (read(request->read_end, (char *)request->data, request->capacity) < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (ioctl(request->read_end, FIONREAD, &left) < 0)
			return -errno;
	}
	return 0;
}

/* Gives 0; copied is less than bytes when the content is larger than the room, when packets are among it, or when not all
 * could be copied. */
int64_t cr_pipe_peek(struct cr_pipe_peek *request)
{
	int bytes = 0, left = 0;
	int size = fcntl(request->fd, F_GETPIPE_SZ);

	if (size < 0 || ioctl(request->fd, FIONREAD, &bytes) < 0)
		return -errno;
	request->size = size;
	request->bytes = bytes;
	request->copied = 0;
	request->packets = 0;
	if (bytes == 0)
		return 0;
	if ((uint32_t)size > request->other_size && (uint32_t)bytes <= request->capacity) {
		int got = fcntl(request->write_end, F_SETPIPE_SZ, size);

		if (got < 0)
			return -errno;
		request->other_size = got;
	}
	ssize_t copied = tee(request->fd, request->write_end, bytes, SPLICE_F_NONBLOCK);

	if (copied <= 0)
		return copied == 0 || errno == EAGAIN ? 0 : -errno;
	/* Reading a part of a packet drops the rest of it; what begins with one byte is found by the reads that follow. */
	if (read(request->read_end, (char *)request->data, 1) != 1 || ioctl(request->read_end, FIONREAD, &left) < 0)
		return -errno;
	request->packets = left != copied - 1;
	if (request->packets || (uint32_t)bytes > request->capacity)
		return left > 0 ? drop_all(request) : 0;
	request->copied = 1;
	int64_t ret = take_all(request, left);

	if (request->packets)
		request->copied = 0;
	return ret;
}
