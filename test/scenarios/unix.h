// SPDX-License-Identifier: GPL-2.0-only
// What scenario programs with unix sockets share: names, descriptors in messages, checks of what waits.
#ifndef UNIX_H
#define UNIX_H
#include "tree.h"
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
	struct sockaddr_un un;
	socklen_t length;
};

__attribute__((unused)) static struct address path_address(const char *path)
{
	struct address at = { .un.sun_family = AF_UNIX };
	must_be(strlen(path) < sizeof(at.un.sun_path));
	strcpy(at.un.sun_path, path);
	at.length = offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
	return at;
}

// An abstract name that no other run of the program has.
__attribute__((unused)) static struct address abstract_address(const char *name)
{
	struct address at = { .un.sun_family = AF_UNIX };
	unsigned long hash = 5381;
	for (const char *p = scenario_out_path; *p; p++)
		hash = hash * 33 + (unsigned char)*p;
	int n = snprintf(at.un.sun_path + 1, sizeof(at.un.sun_path) - 1, "criu-%lx-%s", hash, name);
	at.length = offsetof(struct sockaddr_un, sun_path) + 1 + n;
	return at;
}

// A path beside the output file.
__attribute__((unused)) static const char *beside(const char *suffix)
{
	static char paths[8][256];
	static int next;
	char *path = paths[next++ % 8];
	snprintf(path, 256, "%s.%s", scenario_out_path, suffix);
	return path;
}

__attribute__((unused)) static int bound_socket(int type, struct address at)
{
	int fd = must(socket(AF_UNIX, type, 0));
	must(bind(fd, (struct sockaddr *)&at.un, at.length));
	return fd;
}

__attribute__((unused)) static int connected_socket(int type, struct address at)
{
	int fd = must(socket(AF_UNIX, type, 0));
	must(connect(fd, (struct sockaddr *)&at.un, at.length));
	return fd;
}

__attribute__((unused)) static void send_text(int fd, const char *text)
{
	expect("bytes sent", strlen(text), send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT));
}

__attribute__((unused)) static void expect_message(const char *what, int fd, const char *wanted)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	if (n < 0)
		fail("%s, wanted \"%s\", got errno %d (%s)", what, wanted, errno, strerror(errno));
	got[n] = 0;
	expect_text(what, wanted, got);
}

__attribute__((unused)) static void expect_nothing(const char *what, int fd)
{
	char byte;
	expect(what, -1, recv(fd, &byte, 1, MSG_DONTWAIT));
	expect("its errno", EAGAIN, errno);
}

__attribute__((unused)) static void expect_end(const char *what, int fd)
{
	char byte;
	expect(what, 0, recv(fd, &byte, 1, MSG_DONTWAIT));
}

// Text goes both ways.
__attribute__((unused)) static void expect_talk(const char *what, int a, int b)
{
	send_text(a, "there");
	expect_message(what, b, "there");
	send_text(b, "and back");
	expect_message(what, a, "and back");
}

__attribute__((unused)) static void send_files(int fd, const char *text, const int *files, int count)
{
	char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), files, count * sizeof(int));
	expect("bytes sent with files", strlen(text), sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

__attribute__((unused)) static void receive_files(const char *what, int fd, const char *wanted, int *files, int count)
{
	char control[CMSG_SPACE(16 * sizeof(int))], got[256];
	struct iovec iov = { got, sizeof(got) - 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n = must(recvmsg(fd, &message, MSG_DONTWAIT));
	got[n] = 0;
	expect_text(what, wanted, got);
	must_be((message.msg_flags & MSG_CTRUNC) == 0);
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	must_be(head != NULL && head->cmsg_type == SCM_RIGHTS);
	expect("files received", (long)CMSG_LEN(count * sizeof(int)), (long)head->cmsg_len);
	memcpy(files, CMSG_DATA(head), count * sizeof(int));
}

__attribute__((unused)) static void expect_name(const char *what, int fd, struct address wanted)
{
	struct address got = { .length = sizeof(got.un) };
	must(getsockname(fd, (struct sockaddr *)&got.un, &got.length));
	expect(what, wanted.length, got.length);
	expect_bytes(what, &wanted.un, &got.un, wanted.length);
}
#endif
