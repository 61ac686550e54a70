// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for an epoll that watches a file which no descriptor refers to, and the program goes on unharmed.
// @expect refused EPOLL_OUTSIDE
// @expect-text no descriptor of the tree refers to
#include "scenario.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int watch = must(epoll_create1(0)), ends[2], event = must(eventfd(0, 0));
	must(pipe(ends));
	struct epoll_event watched = { EPOLLIN, { .u64 = 5 } };
	must(epoll_ctl(watch, EPOLL_CTL_ADD, event, &watched));
	// A mapping of the descriptor table's past: the file lives on in flight.
	int pair[2];
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	char byte = 'x', room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	*head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(head), &event, sizeof(int));
	must(sendmsg(pair[0], &message, 0));
	close(event);
	ready();
	wait_for_trigger();
	must_be(recvmsg(pair[1], &message, 0) == 1);
	memcpy(&event, CMSG_DATA(head), sizeof(int));
	uint64_t one = 1;
	must_be(write(event, &one, 8) == 8);
	expect("events", 1, epoll_wait(watch, &watched, 1, 0));
	expect("data", 5, watched.data.u64);
	pass();
}
