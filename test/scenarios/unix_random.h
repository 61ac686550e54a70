// SPDX-License-Identifier: GPL-2.0-only
// The program of unix_random*.c: unix sockets of all types, paired, bound and connected, with messages, descriptors on their way,
// half-read streams, shut and closed sides, all at random by a fixed seed. In the end everything arrives that was on its way.
#include "scenario.h"
#include "random.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { SOCKETS = 40, QUEUE = 8, STEPS = 260, MAX_MESSAGE = 3000 };

static struct sock {
	int fd, type, peer; // peer: index, -1 for none
	bool shut_read, shut_write, named;
	struct sockaddr_un name;
	socklen_t name_length;
	// What waits in it.
	struct message {
		int length, read, seed, from;
		enum { NO_FD, MEMFD, PIPE } passed;
	} queue[QUEUE];
	int waiting;
} socks[SOCKETS];
static int nr_socks, messages;

static int add(int fd, int type, int peer)
{
	socks[nr_socks] = (struct sock){ .fd = fd, .type = type, .peer = peer };
	return nr_socks++;
}

static int some_type(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	return types[roll(3)];
}

static void make_pair(void)
{
	int fds[2], type = some_type();
	if (nr_socks + 2 > SOCKETS)
		return;
	must(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds));
	int first = add(fds[0], type, nr_socks + 1);
	add(fds[1], type, first);
}

static void set_name(struct sock *sock)
{
	sock->name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int at = roll(2), n = snprintf(sock->name.sun_path + at, 60, "name-%d-%d", SEED, nr_socks);
	struct stat here;
	must(stat(".", &here)); // abstract names are those of the whole host, and others may run this at the same time
	if (at)
		n += snprintf(sock->name.sun_path + 1 + n, 30, "-%lu", here.st_ino);
	sock->name_length = offsetof(struct sockaddr_un, sun_path) + at + n + (at ? 0 : 1);
	sock->named = true;
	must(bind(sock->fd, (struct sockaddr *)&sock->name, sock->name_length));
}

// Server and client, or a named datagram socket that another is connected to.
static void make_named(void)
{
	int type = some_type();
	if (nr_socks + 3 > SOCKETS)
		return;
	int server = add(must(socket(AF_UNIX, type | SOCK_NONBLOCK, 0)), type, -1);
	set_name(&socks[server]);
	int client = add(must(socket(AF_UNIX, type | SOCK_NONBLOCK, 0)), type, -1);
	struct sock *at = &socks[server];
	if (type == SOCK_DGRAM) {
		must(connect(socks[client].fd, (struct sockaddr *)&at->name, at->name_length));
		socks[client].peer = server;
		return;
	}
	must(listen(at->fd, 5));
	must(connect(socks[client].fd, (struct sockaddr *)&at->name, at->name_length));
	int accepted = add(must(accept4(at->fd, NULL, NULL, SOCK_NONBLOCK)), type, client);
	socks[client].peer = accepted;
	at->type = 0; // nothing can be sent to it
	if (roll(3) == 0 && at->name.sun_path[0])
		must(unlink(at->name.sun_path));
}

static int make_passed(int kind, int seed)
{
	char data[500];
	fill(data, sizeof(data), seed);
	if (kind == MEMFD) {
		int fd = must(memfd_create("passed", 0));
		must_be(write(fd, data, sizeof(data)) == sizeof(data));
		must(lseek(fd, 0, SEEK_SET));
		return fd;
	}
	int ends[2];
	must(pipe(ends));
	must_be(write(ends[1], data, sizeof(data)) == sizeof(data));
	close(ends[1]);
	return ends[0];
}

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

static void send_one(void)
{
	if (nr_socks == 0)
		return;
	int from = roll(nr_socks);
	struct sock *sock = &socks[from];
	if (sock->fd < 0 || sock->type == 0 || sock->shut_write || sock->peer < 0)
		return;
	struct sock *to = &socks[sock->peer];
	if (to->fd < 0 || to->shut_read || to->waiting == QUEUE)
		return;
	struct message message = { .length = 1 + roll(MAX_MESSAGE), .seed = ++messages, .passed = roll(3) ? NO_FD : 1 + roll(2), .from = from };
	char data[MAX_MESSAGE];
	fill(data, message.length, message.seed);
	struct iovec part = { data, message.length };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	int passed = -1;
	if (message.passed != NO_FD) {
		passed = make_passed(message.passed, message.seed);
		memcpy(CMSG_DATA(&control.head), &passed, sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	expect("sent", message.length, sendmsg(sock->fd, &header, MSG_NOSIGNAL));
	if (passed >= 0)
		close(passed);
	to->queue[to->waiting++] = message;
}

static void expect_passed(const struct message *message, const struct msghdr *header)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(header);
	bool wanted = message->passed != NO_FD && message->read == 0;
	expect("a descriptor came along", wanted, head != NULL && head->cmsg_type == SCM_RIGHTS);
	if (!wanted)
		return;
	int fd;
	char got[500];
	memcpy(&fd, CMSG_DATA(head), sizeof(int));
	must_be(read(fd, got, sizeof(got)) == sizeof(got));
	expect_fill("content of what was passed", got, sizeof(got), message->seed);
	expect("its end", 0, read(fd, got, 1));
	close(fd);
}

// Reads the first message in a socket, of streams as much as wanted.
static void receive(struct sock *sock, int wanted)
{
	struct message *first = &sock->queue[0];
	char got[MAX_MESSAGE], whole[MAX_MESSAGE];
	struct iovec part = { got, sock->type == SOCK_STREAM ? wanted : MAX_MESSAGE };
	union control control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int left = first->length - first->read;
	ssize_t n = recvmsg(sock->fd, &header, 0);
	expect("received", wanted < left && sock->type == SOCK_STREAM ? wanted : left, n);
	fill(whole, first->length, first->seed);
	expect_bytes("message", whole + first->read, got, n);
	expect_passed(first, &header);
	first->read += n;
	if (first->read == first->length)
		memmove(first, first + 1, --sock->waiting * sizeof(*first));
}

static void receive_one(void)
{
	if (nr_socks == 0)
		return;
	struct sock *sock = &socks[roll(nr_socks)];
	if (sock->fd < 0 || sock->waiting == 0)
		return;
	int left = sock->queue[0].length - sock->queue[0].read;
	receive(sock, roll(2) ? left : 1 + (int)roll(left));
}

static void shut_one(void)
{
	if (nr_socks == 0)
		return;
	struct sock *sock = &socks[roll(nr_socks)];
	if (sock->fd < 0 || sock->type == 0 || sock->type == SOCK_DGRAM || sock->peer < 0 || sock->shut_write)
		return;
	must(shutdown(sock->fd, SHUT_WR));
	sock->shut_write = true;
}

// Of a pair: the other goes on with what waits in it. Streams that close with something unread reset the other's.
static void close_one(void)
{
	if (nr_socks == 0)
		return;
	struct sock *sock = &socks[roll(nr_socks)];
	if (sock->fd < 0 || sock->type == 0 || sock->peer < 0 || sock->waiting > 0 || sock->named)
		return;
	for (int i = 0; i < nr_socks; i++)
		if (sock->type == SOCK_DGRAM && socks[i].fd >= 0 && socks[i].waiting > 0 && &socks[socks[i].queue[0].from] == sock)
			return;
	close(sock->fd);
	sock->fd = -1;
}

static void set_options(void)
{
	if (nr_socks == 0)
		return;
	struct sock *sock = &socks[roll(nr_socks)];
	if (sock->fd < 0)
		return;
	int size = 60000 + roll(100000);
	struct timeval time = { roll(100), 0 };
	switch (roll(3)) {
	case 0: must(setsockopt(sock->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size))); break;
	case 1: must(setsockopt(sock->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time))); break;
	case 2: {
		int moved = must(fcntl(sock->fd, F_DUPFD, 100 + roll(200)));
		close(sock->fd);
		sock->fd = moved;
	}
	}
}

static void check_all(void)
{
	for (int i = 0; i < nr_socks; i++) {
		struct sock *sock = &socks[i];
		if (sock->fd < 0 || sock->type == 0)
			continue;
		while (sock->waiting > 0)
			receive(sock, sock->queue[0].length - sock->queue[0].read);
		char byte;
		ssize_t n = recv(sock->fd, &byte, 1, MSG_DONTWAIT);
		bool ended = sock->type != SOCK_DGRAM && sock->peer >= 0 && (socks[sock->peer].fd < 0 || socks[sock->peer].shut_write);
		expect("what comes then", ended ? 0 : -1, n);
	}
	for (int i = 0; i < nr_socks; i++) {
		struct sock *sock = &socks[i];
		if (sock->fd < 0 || sock->type == 0 || sock->peer < 0 || sock->shut_write || socks[sock->peer].fd < 0)
			continue;
		char byte = i, got = 0;
		must_be(send(sock->fd, &byte, 1, MSG_NOSIGNAL) == 1);
		must_be(recv(socks[sock->peer].fd, &got, 1, 0) == 1);
		expect("a byte through it", byte, got);
	}
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	dice = DICE_SEED(SEED + 7);
	static void (*const things[])(void) = { make_pair, make_named, send_one, send_one, send_one, send_one, receive_one, shut_one, close_one, set_options };
	for (int i = 0; i < STEPS; i++)
		things[roll(10)]();
	ready();
	wait_for_trigger();
	check_all();
	pass();
}
