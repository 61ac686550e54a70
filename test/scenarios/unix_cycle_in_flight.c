// SPDX-License-Identifier: GPL-2.0-only
// Sockets on their way through themselves and each other, and an epoll that's on its way through the socket it watches.
#include "unix.h"
#include <sys/epoll.h>

static int priority(int fd)
{
	int value;
	must(getsockopt(fd, SOL_SOCKET, SO_PRIORITY, &value, &(socklen_t){ sizeof(value) }));
	return value;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int loop[2], through[2], nest[2], inner[2];
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, loop));
	// Such circles are freed late, so that names would be in use for a while.
	for (int i = 0; i < 2; i++)
		must(setsockopt(loop[i], SOL_SOCKET, SO_PRIORITY, &(int){ i + 1 }, sizeof(int)));
	for (int i = 0; i < 2; i++)
		send_files(loop[i], i ? "from 1" : "from 0", loop, 2);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, through));
	int watch = must(epoll_create1(0));
	struct epoll_event event = { EPOLLIN, { .u64 = 7 } };
	must(epoll_ctl(watch, EPOLL_CTL_ADD, through[1], &event));
	send_files(through[0], "1", &watch, 1);
	send_files(through[0], "2", &watch, 1);
	close(watch);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, nest));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
	send_text(inner[0], "in the inner one");
	send_files(nest[0], "inner", &inner[1], 1);
	ready();
	wait_for_trigger();
	int got[2];
	receive_files("first", loop[0], "from 1", got, 2);
	expect("first one", 1, priority(got[0]));
	expect("second one", 2, priority(got[1]));
	int again[2];
	receive_files("second", got[1], "from 0", again, 2);
	expect("first one again", 1, priority(again[0]));
	expect_talk("through what came", again[0], again[1]);
	receive_files("epoll", through[1], "1", &watch, 1);
	struct epoll_event found[2];
	expect("events", 1, epoll_wait(watch, found, 2, 0));
	expect("data", 7, found[0].data.u64);
	receive_files("epoll again", through[1], "2", got, 1);
	expect("events when empty", 0, epoll_wait(watch, found, 2, 0));
	receive_files("socket in a socket", nest[1], "inner", got, 1);
	expect_message("what waited in it", got[0], "in the inner one");
	expect_talk("inner pair", got[0], inner[0]);
	pass();
}
