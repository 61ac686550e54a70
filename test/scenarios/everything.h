// SPDX-License-Identifier: GPL-2.0-only
// Every kind of file that carries content: how one is made and checked, by a number that no other has.
#ifndef EVERYTHING_H
#define EVERYTHING_H
#include "scenario.h"
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#define SIZE (5 * PAGE + 77)

// What one kind has in one round: descriptors, memory.
struct thing {
	int fds[2];
	char *map;
};

static void expect_read(const char *what, int fd, size_t n, int seed)
{
	char got[SIZE];
	for (size_t have = 0; have < n;) {
		ssize_t more = read(fd, got + have, n - have);
		if (more <= 0)
			fail("%s, wanted %zu bytes, got %zd after %zu", what, n, more, have);
		have += more;
	}
	expect_fill(what, got, n, seed);
}

static void write_filled(int fd, size_t n, int seed)
{
	char data[SIZE];
	fill(data, n, seed);
	must_be(write(fd, data, n) == (ssize_t)n);
}

static void make_pipe(struct thing *t, int seed)
{
	must(pipe2(t->fds, O_NONBLOCK));
	write_filled(t->fds[1], SIZE, seed);
}

static void check_pipe(struct thing *t, int seed)
{
	expect_read("pipe", t->fds[0], SIZE, seed);
	char byte;
	expect("pipe's end", -1, read(t->fds[0], &byte, 1));
}

static void make_fifo(struct thing *t, int seed)
{
	char name[32];
	snprintf(name, sizeof(name), "fifo%d", seed);
	must(mkfifo(name, 0600));
	t->fds[0] = must(open(name, O_RDWR | O_NONBLOCK));
	write_filled(t->fds[0], SIZE, seed);
}

static void check_fifo(struct thing *t, int seed) { expect_read("fifo", t->fds[0], SIZE, seed); }

static void make_memfd(struct thing *t, int seed)
{
	t->fds[0] = must(memfd_create("held", MFD_ALLOW_SEALING));
	write_filled(t->fds[0], SIZE, seed);
	must(fcntl(t->fds[0], F_ADD_SEALS, F_SEAL_GROW));
}

static void check_memfd(struct thing *t, int seed)
{
	expect("memfd's position", SIZE, lseek(t->fds[0], 0, SEEK_CUR));
	must(lseek(t->fds[0], 0, SEEK_SET));
	expect_read("memfd", t->fds[0], SIZE, seed);
	expect("memfd's seals", F_SEAL_GROW, fcntl(t->fds[0], F_GET_SEALS));
}

static void make_mapped(struct thing *t, int seed)
{
	t->fds[0] = must(memfd_create("mapped", 0));
	must(ftruncate(t->fds[0], SIZE));
	t->map = must(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, t->fds[0], 0));
	fill(t->map, SIZE, seed);
}

static void check_mapped(struct thing *t, int seed)
{
	expect_fill("mapped memfd", t->map, SIZE, seed);
	t->map[PAGE] ^= 1;
	char got;
	must_be(pread(t->fds[0], &got, 1, PAGE) == 1);
	expect("mapped memfd by descriptor", t->map[PAGE], got);
}

static void make_shared(struct thing *t, int seed)
{
	t->map = must(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	fill(t->map, SIZE, seed);
}

static void check_shared(struct thing *t, int seed) { expect_fill("shared memory", t->map, SIZE, seed); }

static void make_stream(struct thing *t, int seed)
{
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, t->fds));
	write_filled(t->fds[1], SIZE, seed);
}

static void check_stream(struct thing *t, int seed) { expect_read("unix stream", t->fds[0], SIZE, seed); }

static void make_dgram(struct thing *t, int seed)
{
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, t->fds));
	write_filled(t->fds[1], 333, seed);
	write_filled(t->fds[1], SIZE, seed);
}

static void check_dgram(struct thing *t, int seed)
{
	expect_read("first packet", t->fds[0], 333, seed);
	expect_read("second packet", t->fds[0], SIZE, seed);
}

// A message that has a descriptor in it.
static void make_passing(struct thing *t, int seed)
{
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, t->fds));
	int inside = must(memfd_create("on its way", 0));
	write_filled(inside, SIZE, seed);
	char byte = 'x';
	struct iovec part = { &byte, 1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	memcpy(CMSG_DATA(&control.head), &inside, sizeof(int));
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	must_be(sendmsg(t->fds[1], &message, 0) == 1);
	close(inside);
}

static void check_passing(struct thing *t, int seed)
{
	char byte;
	struct iovec part = { &byte, 1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	must_be(recvmsg(t->fds[0], &message, 0) == 1);
	int inside;
	memcpy(&inside, CMSG_DATA(&control.head), sizeof(int));
	must(lseek(inside, 0, SEEK_SET));
	expect_read("memfd that was on its way", inside, SIZE, seed);
	close(inside);
}

static void make_ghost(struct thing *t, int seed)
{
	char name[32];
	snprintf(name, sizeof(name), "ghost%d", seed);
	t->fds[0] = must(open(name, O_RDWR | O_CREAT, 0600));
	write_filled(t->fds[0], SIZE, seed);
	must(unlink(name));
	t->map = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, t->fds[0], PAGE));
}

static void check_ghost(struct thing *t, int seed)
{
	must(lseek(t->fds[0], 0, SEEK_SET));
	expect_read("deleted file", t->fds[0], SIZE, seed);
	char whole[SIZE];
	fill(whole, SIZE, seed);
	expect_bytes("mapping of a deleted file", whole + PAGE, t->map, PAGE);
}

static void make_pty(struct thing *t, int seed)
{
	t->fds[0] = must(posix_openpt(O_RDWR | O_NOCTTY));
	must(grantpt(t->fds[0]));
	must(unlockpt(t->fds[0]));
	t->fds[1] = must(open(ptsname(t->fds[0]), O_RDWR | O_NOCTTY));
	char line[16];
	int n = snprintf(line, sizeof(line), "line %d\n", seed);
	must_be(write(t->fds[0], line, n) == n);
}

static void check_pty(struct thing *t, int seed)
{
	char line[16], got[64] = "";
	snprintf(line, sizeof(line), "line %d\n", seed);
	must(read(t->fds[1], got, sizeof(got) - 1));
	expect_text("line of a terminal", line, got);
}

static void make_events(struct thing *t, int seed)
{
	t->fds[0] = must(eventfd(seed, EFD_NONBLOCK));
	t->fds[1] = must(epoll_create1(0));
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = seed };
	must(epoll_ctl(t->fds[1], EPOLL_CTL_ADD, t->fds[0], &event));
}

static void check_events(struct thing *t, int seed)
{
	struct epoll_event event;
	expect("events", 1, epoll_wait(t->fds[1], &event, 1, 10000));
	expect("event's data", seed, event.data.u64);
	uint64_t count;
	must_be(read(t->fds[0], &count, 8) == 8);
	expect("count", seed, count);
}

static void make_timer(struct thing *t, int seed)
{
	t->fds[0] = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	struct itimerspec time = { { 0, 0 }, { 100000 + seed, 0 } };
	must(timerfd_settime(t->fds[0], 0, &time, NULL));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	t->fds[1] = must(signalfd(-1, &set, SFD_NONBLOCK));
}

static void check_timer(struct thing *t, int seed)
{
	struct itimerspec left;
	must(timerfd_gettime(t->fds[0], &left));
	must_be(left.it_value.tv_sec > 90000 && left.it_value.tv_sec <= 100000 + seed);
	char byte[128];
	expect("signals", -1, read(t->fds[1], byte, sizeof(byte)));
}

static void make_watch(struct thing *t, int seed)
{
	char name[32];
	snprintf(name, sizeof(name), "watched%d", seed);
	must(mkdir(name, 0700));
	t->fds[0] = must(inotify_init1(IN_NONBLOCK));
	must(inotify_add_watch(t->fds[0], name, IN_CREATE));
}

static void check_watch(struct thing *t, int seed)
{
	char name[32], got[256];
	snprintf(name, sizeof(name), "watched%d/new", seed);
	close(must(open(name, O_CREAT | O_WRONLY, 0600)));
	must_be(read(t->fds[0], got, sizeof(got)) > 0);
}

static void make_inet(struct thing *t, int seed)
{
	(void)seed;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	t->fds[0] = must(socket(AF_INET, SOCK_STREAM, 0));
	must(bind(t->fds[0], (struct sockaddr *)&at, sizeof(at)));
	must(listen(t->fds[0], 3));
	t->fds[1] = must(socket(AF_INET, SOCK_DGRAM, 0));
	must(getsockname(t->fds[0], (struct sockaddr *)&at, &length));
	must(connect(t->fds[1], (struct sockaddr *)&at, sizeof(at)));
}

static void check_inet(struct thing *t, int seed)
{
	(void)seed;
	struct sockaddr_in own, peer;
	socklen_t length = sizeof(own);
	must(getsockname(t->fds[0], (struct sockaddr *)&own, &length));
	must(getpeername(t->fds[1], (struct sockaddr *)&peer, &length));
	expect("port", own.sin_port, peer.sin_port);
	int client = must(socket(AF_INET, SOCK_STREAM, 0));
	must(connect(client, (struct sockaddr *)&own, sizeof(own)));
	close(must(accept(t->fds[0], NULL, NULL)));
	close(client);
}

static const struct kind {
	void (*make)(struct thing *, int), (*check)(struct thing *, int);
} kinds[] = {
	{ make_pipe, check_pipe }, { make_memfd, check_memfd }, { make_fifo, check_fifo }, { make_shared, check_shared },
	{ make_stream, check_stream }, { make_mapped, check_mapped }, { make_dgram, check_dgram }, { make_ghost, check_ghost },
	{ make_passing, check_passing }, { make_pty, check_pty }, { make_events, check_events }, { make_timer, check_timer },
	{ make_watch, check_watch }, { make_inet, check_inet },
};
#define KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))
#endif
