// SPDX-License-Identifier: GPL-2.0-only
// Who has sent what waits (SO_PASSCRED): another user's child, the program itself; options of sockets and their buffers.
// @skip-peer the peer refuses messages with credentials
#include "unix.h"
#include <sys/ioctl.h>

static int asked[2], stream[2];

static void run(void *arg)
{
	(void)arg;
	must(setresgid(2000, 2000, 2000));
	must(setresuid(1000, 1000, 1000));
	send_text(asked[0], "from the child");
	send_text(stream[0], "child");
	arrive_and_wait();
}

static void expect_sender(const char *what, int fd, const char *wanted, pid_t pid, uid_t uid, gid_t gid)
{
	char control[256], got[256];
	struct iovec iov = { got, sizeof(got) - 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	got[must(recvmsg(fd, &message, MSG_DONTWAIT))] = 0;
	expect_text(what, wanted, got);
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	must_be(head != NULL && head->cmsg_type == SCM_CREDENTIALS);
	struct ucred sender;
	memcpy(&sender, CMSG_DATA(head), sizeof(sender));
	expect("sender's pid", pid, sender.pid);
	expect("sender's user", uid, sender.uid);
	expect("sender's group", gid, sender.gid);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, asked));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	send_text(asked[0], "before anybody asked");
	must(setsockopt(asked[1], SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)));
	must(setsockopt(stream[1], SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)));
	pid_t child = start_child(run, NULL);
	send_text(asked[0], "from the parent");
	send_text(stream[0], "parent");
	int options[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, options));
	must(setsockopt(options[0], SOL_SOCKET, SO_SNDBUF, &(int){ 100000 }, sizeof(int)));
	must(setsockopt(options[0], SOL_SOCKET, SO_RCVBUF, &(int){ 5000 }, sizeof(int)));
	must(setsockopt(options[0], SOL_SOCKET, SO_PEEK_OFF, &(int){ 2 }, sizeof(int)));
	struct timeval limit = { 3, 500000 };
	must(setsockopt(options[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	send_text(options[1], "peeked");
	ready();
	wait_for_trigger();
	expect_sender("before anybody asked", asked[1], "before anybody asked", 0, 65534, 65534);
	expect_sender("from the child", asked[1], "from the child", child, 1000, 2000);
	expect_sender("from the parent", asked[1], "from the parent", getpid(), 0, 0);
	expect_sender("child's bytes", stream[1], "child", child, 1000, 2000);
	expect_sender("parent's bytes", stream[1], "parent", getpid(), 0, 0);
	int value;
	socklen_t size = sizeof(value);
	must(getsockopt(options[0], SOL_SOCKET, SO_SNDBUF, &value, &size));
	expect("SO_SNDBUF", 200000, value);
	must(getsockopt(options[0], SOL_SOCKET, SO_RCVBUF, &value, &size));
	expect("SO_RCVBUF", 10000, value);
	must(getsockopt(options[0], SOL_SOCKET, SO_PEEK_OFF, &value, &size));
	expect("SO_PEEK_OFF", 2, value);
	char text[8] = { 0 };
	must_be(recv(options[0], text, 4, MSG_PEEK | MSG_DONTWAIT) == 4);
	expect_text("a look", "eked", text);
	size = sizeof(limit);
	must(getsockopt(options[0], SOL_SOCKET, SO_RCVTIMEO, &limit, &size));
	expect("SO_RCVTIMEO", 3500000, limit.tv_sec * 1000000 + limit.tv_usec);
	check_child(child);
	pass();
}
