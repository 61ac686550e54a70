// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for several things at once, all of which have to be named, and the program goes on unharmed.
// @expect refused EVENTFD
// @expect-text eventfd
// @expect-text eventpoll
// @expect-text socket
#include "scenario.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int event = must(eventfd(1, EFD_NONBLOCK)), poll = must(epoll_create1(0)), sock = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	ready();
	wait_for_trigger();
	must_be(event >= 0 && poll >= 0 && sock >= 0);
	uint64_t value;
	must_be(read(event, &value, 8) == 8);
	expect("counter", 1, value);
	pass();
}
