/* SPDX-License-Identifier: GPL-2.0-only */
/* The page pump: copies memory of another process into a file, in large pieces, by several threads, or into a socket. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What a thread takes at a time. */
#define CHUNK (1ul << 20)
/* What is read before it's written: it stays in the processor's cache, and fresh memory costs more than copying it. */
#define BUFFER (128ul << 10)
/* Below that no second thread is worth its start. */
#define SMALL (1ul << 20)
#define SMALL_PIECES 1024
#define PAGE 4096ul
#define MAX_IOV 64
#define MAX_THREADS 16

/* The calling thread's, which is always the same one. */
static uint8_t first_buffer[BUFFER] __attribute__((aligned(4096)));
static uint64_t small_starts[SMALL_PIECES];

struct job {
	struct cr_pump *request;
	const struct cr_piece *pieces;
	uint64_t total;           /* bytes of all pieces */
	_Atomic uint64_t next;    /* position in the total that nobody has taken yet */
	_Atomic int64_t error;
	const uint64_t *starts;   /* position of each piece in the total */
};

/* The piece that holds a position: the last one that starts at or before it. */
static uint64_t find_piece(const struct job *job, uint64_t at)
{
	uint64_t low = 0, high = job->request->nr_pieces;
	while (high - low > 1) {
		uint64_t middle = (low + high) / 2;
		if (job->starts[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void report(struct job *job, int64_t error, uint64_t address, int failed_write)
{
	int64_t none = 0;
	if (atomic_compare_exchange_strong(&job->error, &none, error)) {
		job->request->failed_at = address;
		job->request->failed_write = failed_write;
	}
}

static uint64_t address_of(const struct cr_piece *piece)
{
	return piece->address & ~(uint64_t)(CR_PIECE_SHARED | CR_PIECE_LOCAL);
}

/* Pages that process_vm_readv refuses (no PROT_READ), or must not pin, can be read through /proc/PID/mem. */
static int read_forced(struct job *job, uint64_t address, uint8_t *to, uint64_t bytes)
{
	while (bytes) {
		ssize_t got = job->request->mem_fd < 0 ? -1 : pread(job->request->mem_fd, to, bytes, (off_t)address);
		if (got <= 0 && job->request->flags & CR_PUMP_LIVE) {
			/* Whoever needs that page finds another one there, and knows it. */
			got = PAGE - (address & (PAGE - 1));
			if ((uint64_t)got > bytes)
				got = bytes;
			memset(to, 0, got);
		}
		if (got <= 0) {
			report(job, got == 0 || job->request->mem_fd < 0 ? -EFAULT : -errno, address, 0);
			return -1;
		}
		address += got;
		to += got;
		bytes -= got;
	}
	return 0;
}

/* Reads `bytes` of the total from position `at` on into the buffer. */
static int read_span(struct job *job, uint64_t at, uint8_t *buffer, uint64_t bytes)
{
	uint64_t index = find_piece(job, at), within = at - job->starts[index], filled = 0;

	while (filled < bytes) {
		if (job->pieces[index].address & CR_PIECE_LOCAL) {
			uint64_t part = job->pieces[index].bytes - within;
			if (part > bytes - filled)
				part = bytes - filled;
			memcpy(buffer + filled, (const uint8_t *)address_of(&job->pieces[index]) + within, part);
			filled += part;
			within += part;
			if (within >= job->pieces[index].bytes) {
				within = 0;
				index++;
			}
			continue;
		}
		struct iovec remote[MAX_IOV];
		uint64_t count = 0, batch = 0, i = index, skip = within;
		int stuck = job->pieces[index].address & CR_PIECE_SHARED || job->request->flags & CR_PUMP_LIVE;
		while (!stuck && count < MAX_IOV && filled + batch < bytes &&
		       !(job->pieces[i].address & (CR_PIECE_SHARED | CR_PIECE_LOCAL))) {
			uint64_t part = job->pieces[i].bytes - skip;
			if (part > bytes - filled - batch)
				part = bytes - filled - batch;
			remote[count].iov_base = (void *)(address_of(&job->pieces[i]) + skip);
			remote[count++].iov_len = part;
			batch += part;
			i++;
			skip = 0;
		}
		struct iovec local = { buffer + filled, batch };
		ssize_t got = stuck ? 0 : process_vm_readv(job->request->pid, &local, 1, remote, count, 0);
		if (got < 0) {
			if (errno != EFAULT) {
				report(job, -errno, address_of(&job->pieces[index]) + within, 0);
				return -1;
			}
			got = 0;
		}
		/* Whole pages arrived; what follows is the page that could not be read that way. */
		uint64_t moved = (uint64_t)got == batch ? batch : (uint64_t)got & ~(PAGE - 1);
		stuck = stuck || moved < batch;
		filled += moved;
		within += moved;
		while (index < job->request->nr_pieces && within >= job->pieces[index].bytes) {
			within -= job->pieces[index].bytes;
			index++;
		}
		if (!stuck)
			continue;
		uint64_t rest = job->pieces[index].bytes - within;
		if (rest > bytes - filled)
			rest = bytes - filled;
		if (read_forced(job, address_of(&job->pieces[index]) + within, buffer + filled, rest))
			return -1;
		filled += rest;
		within += rest;
		if (within >= job->pieces[index].bytes) {
			within = 0;
			index++;
		}
	}
	return 0;
}

static int write_span(struct job *job, uint64_t at, const uint8_t *buffer, uint64_t bytes)
{
	while (bytes) {
		ssize_t put;
		if (job->request->flags & CR_PUMP_PIPE)
			put = write(job->request->out_fd, buffer, bytes);
		else if (job->request->flags & CR_PUMP_STREAM)
			put = send(job->request->out_fd, buffer, bytes, MSG_NOSIGNAL);
		else
			put = pwrite(job->request->out_fd, buffer, bytes, (off_t)(job->request->offset + at));
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN) {
			/* Somebody has made a pipe that we share non-blocking. */
			struct pollfd room = { .fd = job->request->out_fd, .events = POLLOUT };
			poll(&room, 1, -1);
			continue;
		}
		if (put <= 0) {
			report(job, put < 0 ? -errno : -EIO, at, 1);
			return -1;
		}
		at += put;
		buffer += put;
		bytes -= put;
	}
	return 0;
}

static void copy_chunks(struct job *job, uint8_t *buffer)
{
	while (!atomic_load(&job->error)) {
		uint64_t at = atomic_fetch_add(&job->next, CHUNK);
		if (at >= job->total)
			break;
		uint64_t end = job->total - at < CHUNK ? job->total : at + CHUNK;
		for (uint64_t bytes; at < end; at += bytes) {
			bytes = end - at < BUFFER ? end - at : BUFFER;
			if (read_span(job, at, buffer, bytes) || write_span(job, at, buffer, bytes))
				return;
			cr_progress_count(bytes);
		}
	}
}

static void *work(void *arg)
{
	struct job *job = arg;
	uint8_t *buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Another thread does it alone. */
	if (buffer == MAP_FAILED)
		return NULL;
	copy_chunks(job, buffer);
	munmap(buffer, BUFFER);
	return NULL;
}

static void copy_by_threads(struct job *job, uint32_t wanted)
{
	pthread_t threads[MAX_THREADS];
	uint32_t started = 0;

	while (started < wanted - 1 && pthread_create(&threads[started], NULL, work, job) == 0)
		started++;
	copy_chunks(job, first_buffer);
	for (uint32_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

/* Gives the number of bytes written. */
int64_t cr_pump(struct cr_pump *request)
{
	struct job job = { .request = request, .pieces = (const struct cr_piece *)request->pieces };
	uint64_t table = (request->nr_pieces + 1) * sizeof(uint64_t);
	uint64_t *starts = small_starts;
	int is_small = request->nr_pieces <= SMALL_PIECES;
	uint32_t wanted;

	request->failed_at = 0;
	request->failed_write = 0;
	if (!is_small)
		starts = mmap(NULL, table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (starts == MAP_FAILED)
		return -errno;
	for (uint64_t i = 0; i < request->nr_pieces; i++) {
		starts[i] = job.total;
		job.total += job.pieces[i].bytes;
	}
	job.starts = starts;
	wanted = request->nr_threads < 1 ? 1 : request->nr_threads > MAX_THREADS ? MAX_THREADS : request->nr_threads;
	if (request->flags & (CR_PUMP_STREAM | CR_PUMP_PIPE))
		wanted = 1;
	if (wanted > 1 + job.total / (2 * SMALL))
		wanted = 1 + job.total / (2 * SMALL);
	copy_by_threads(&job, wanted);
	if (!is_small)
		munmap(starts, table);
	return job.error ? job.error : (int64_t)job.total;
}
