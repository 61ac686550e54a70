// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for several things at once, all of which have to be named, and the program goes on unharmed.
// @expect refused INOTIFY
// @expect-text inotify
// @expect-text userfaultfd
// @expect-text socket
#include "scenario.h"
#include <sys/inotify.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int notify = must(inotify_init1(IN_NONBLOCK)), faults = must(syscall(SYS_userfaultfd, O_NONBLOCK));
	int sock = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	ready();
	wait_for_trigger();
	must_be(faults >= 0 && sock >= 0);
	char byte;
	expect("read", -1, read(notify, &byte, 1));
	expect("errno", EAGAIN, errno);
	pass();
}
