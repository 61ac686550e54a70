/* SPDX-License-Identifier: GPL-2.0-only */
/* Many options of a socket at once: one by one the calls from JavaScript take longer than the system calls. Where io_uring can
 * read them (Linux 6.7) all of a socket are one system call, a tenth of the time. Source: io_uring(7), io_uring/uring_cmd.c. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_SIZE 64
/* Calls after which a ring is worth its making. */
#define WORTH_A_RING 16
/* Not in the headers of older kernels: SOCKET_URING_OP_GETSOCKOPT, and where its arguments are. */
#define URING_GETSOCKOPT 2

struct uring_sockopt {
	uint8_t opcode;
	uint8_t flags;
	uint16_t ioprio;
	int32_t fd;
	uint32_t cmd_op;
	uint32_t pad;
	uint32_t level;
	uint32_t optname;
	uint32_t length;
	uint32_t cmd_flags;
	uint64_t user_data;
	uint32_t pads;
	uint32_t optlen;
	uint64_t optval;
	uint64_t rest;
};

_Static_assert(sizeof(struct uring_sockopt) == sizeof(struct io_uring_sqe), "an entry's size");
_Static_assert(offsetof(struct uring_sockopt, cmd_op) == offsetof(struct io_uring_sqe, off), "cmd_op");
_Static_assert(offsetof(struct uring_sockopt, level) == offsetof(struct io_uring_sqe, addr), "level");
_Static_assert(offsetof(struct uring_sockopt, user_data) == offsetof(struct io_uring_sqe, user_data), "user_data");
_Static_assert(offsetof(struct uring_sockopt, optlen) == offsetof(struct io_uring_sqe, splice_fd_in), "optlen");
_Static_assert(offsetof(struct uring_sockopt, optval) == offsetof(struct io_uring_sqe, addr3), "optval");

static struct {
	int fd;
	uint32_t *tail, *array, *heads, *tails;
	uint32_t mask, answer_mask;
	struct uring_sockopt *entries;
	const struct io_uring_cqe *answers;
} ring = { .fd = -1 };
/* Calls so far, and whether the kernel has shown that it can't. Like all of this library used by one thread only. */
static unsigned calls;
static int unusable;

static void drop_ring(void)
{
	unusable = 1;
	if (ring.fd >= 0)
		close(ring.fd);
	ring.fd = -1;
}

/* What is mapped stays so until the process ends, like the ring. */
static int make_ring(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
	size_t asked, answered;
	char *rings;

	ring.fd = syscall(SYS_io_uring_setup, RING_SIZE, &params);
	if (ring.fd < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP))
		return 0;
	asked = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
	answered = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	rings = mmap(NULL, asked > answered ? asked : answered, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
		     IORING_OFF_SQ_RING);
	ring.entries = mmap(NULL, params.sq_entries * sizeof(*ring.entries), PROT_READ | PROT_WRITE, MAP_SHARED,
			    ring.fd, IORING_OFF_SQES);
	if (rings == MAP_FAILED || ring.entries == MAP_FAILED)
		return 0;
	ring.tail = (uint32_t *)(rings + params.sq_off.tail);
	ring.array = (uint32_t *)(rings + params.sq_off.array);
	ring.mask = *(uint32_t *)(rings + params.sq_off.ring_mask);
	ring.heads = (uint32_t *)(rings + params.cq_off.head);
	ring.tails = (uint32_t *)(rings + params.cq_off.tail);
	ring.answer_mask = *(uint32_t *)(rings + params.cq_off.ring_mask);
	ring.answers = (const struct io_uring_cqe *)(rings + params.cq_off.cqes);
	return 1;
}

static int has_ring(void)
{
	if (unusable || (ring.fd < 0 && ++calls < WORTH_A_RING))
		return 0;
	if (ring.fd < 0 && !make_ring())
		drop_ring();
	return ring.fd >= 0;
}

static void read_plainly(int32_t fd, struct cr_sockopt *one, uint8_t *values)
{
	socklen_t length = one->capacity;

	one->result = getsockopt(fd, one->level, one->name, values + one->offset, &length) < 0 ? -errno : 0;
	one->length = length;
}

/* Takes all answers there are; gives how many came. */
static unsigned take_answers(struct cr_sockopt *list)
{
	uint32_t head = *ring.heads;
	uint32_t end = __atomic_load_n(ring.tails, __ATOMIC_ACQUIRE);
	unsigned taken = end - head;

	for (; head != end; head++) {
		const struct io_uring_cqe *answer = &ring.answers[head & ring.answer_mask];
		struct cr_sockopt *one = &list[answer->user_data];

		one->result = answer->res < 0 ? answer->res : 0;
		one->length = answer->res < 0 ? one->capacity : (uint32_t)answer->res;
	}
	__atomic_store_n(ring.heads, head, __ATOMIC_RELEASE);
	return taken;
}

/* Reads those of SOL_SOCKET among at most RING_SIZE options, which is all that the kernel does for a ring. 0: it doesn't. */
static int read_by_ring(int32_t fd, struct cr_sockopt *list, uint64_t nr, uint8_t *values)
{
	uint32_t tail = *ring.tail;
	uint32_t asked = 0, lacking = 0;

	for (uint64_t i = 0; i < nr; i++) {
		struct cr_sockopt *one = &list[i];
		uint32_t at = (tail + asked) & ring.mask;

		if (one->level != SOL_SOCKET)
			continue;
		ring.entries[at] = (struct uring_sockopt){
			.opcode = IORING_OP_URING_CMD,
			.fd = fd,
			.cmd_op = URING_GETSOCKOPT,
			.level = one->level,
			.optname = one->name,
			.user_data = i,
			.optlen = one->capacity,
			.optval = (uint64_t)(values + one->offset),
		};
		ring.array[at] = at;
		asked++;
	}
	if (asked == 0)
		return 1;
	__atomic_store_n(ring.tail, tail + asked, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, asked, asked, IORING_ENTER_GETEVENTS, NULL, 0) != asked)
		return 0;
	if (take_answers(list) != asked)
		return 0;
	for (uint64_t i = 0; i < nr; i++)
		lacking += list[i].level == SOL_SOCKET && list[i].result == -EOPNOTSUPP;
	return lacking < asked;
}

static void read_options(int32_t fd, struct cr_sockopt *list, uint64_t nr, uint8_t *values)
{
	int by_ring = nr > 1 && has_ring() && read_by_ring(fd, list, nr, values);

	if (nr > 1 && ring.fd >= 0 && !by_ring)
		drop_ring();
	for (uint64_t i = 0; i < nr; i++)
		if (!by_ring || list[i].level != SOL_SOCKET)
			read_plainly(fd, &list[i], values);
}

/* Reads the options of a list; each tells its result and length. Gives how many of them failed or differ from `usual`, which
 * is laid out like the values. */
int64_t cr_sockopts(int32_t fd, struct cr_sockopt *list, uint64_t nr, uint8_t *values, const uint8_t *usual)
{
	int64_t unusual = 0;

	for (uint64_t from = 0; from < nr; from += RING_SIZE)
		read_options(fd, list + from, nr - from < RING_SIZE ? nr - from : RING_SIZE, values);
	for (uint64_t i = 0; i < nr; i++) {
		const struct cr_sockopt *one = &list[i];

		if (one->result == -ENOPROTOOPT || one->result == -EOPNOTSUPP || one->result == -EINVAL)
			continue;
		if (one->result < 0 || memcmp(values + one->offset, usual + one->offset, one->capacity) != 0)
			unusual++;
	}
	return unusual;
}
