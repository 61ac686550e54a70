// SPDX-License-Identifier: GPL-2.0-only
// Events of inotify that nobody has read: a program that was restored is told that events were lost, one that went on has them.
// @skip-peer the original lets them be lost without a word
#include "inotify.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int file = must(open("file", O_RDWR | O_CREAT, 0600)), fd = must(inotify_init1(IN_NONBLOCK));
	int watch = must(inotify_add_watch(fd, "file", IN_MODIFY | IN_CLOSE_WRITE));
	int unwatched = must(inotify_init1(0)), gone = must(inotify_add_watch(unwatched, "file", IN_MODIFY));
	must(inotify_rm_watch(unwatched, gone));
	for (int i = 0; i < 3; i++) {
		must_be(write(file, "text", 4) == 4);
		must(close(must(open("file", O_WRONLY))));
	}
	ready();
	wait_for_trigger();
	struct inotify_event event[32];
	ssize_t n = must(read(fd, event, sizeof(event)));
	must_be(n % sizeof(event[0]) == 0);
	if (event[0].wd == -1) {
		expect("word of lost events", IN_Q_OVERFLOW, event[0].mask);
		expect("bytes of events", sizeof(event[0]), n);
	} else {
		expect("first event", IN_MODIFY, event[0].mask);
		expect("bytes of events", 6 * sizeof(event[0]), n);
	}
	must_be(read(unwatched, event, sizeof(event)) == sizeof(event[0]));
	must_be(event[0].mask == IN_IGNORED || event[0].mask == IN_Q_OVERFLOW);
	expect("flags", O_RDONLY, must(fcntl(unwatched, F_GETFL)));
	expect_no_event(fd);
	expect_no_event(unwatched);
	must_be(write(file, "text", 4) == 4);
	expect_event(fd, watch, IN_MODIFY, "");
	int next = must(inotify_add_watch(fd, ".", IN_CREATE));
	must_be(next > watch);
	must(close(must(open("new", O_WRONLY | O_CREAT, 0600))));
	expect_event(fd, next, IN_CREATE, "new");
	expect_no_event(fd);
	pass();
}
