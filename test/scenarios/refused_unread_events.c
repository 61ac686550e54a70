// SPDX-License-Identifier: GPL-2.0-only
// Events of fanotify that nobody has read can't be kept: they are named, and go on waiting. Those of inotify are no reason.
// @expect refused UNREAD_EVENTS
// @expect-text fanotify events
// @expect-text --drop-unread
#include "inotify.h"
#include <sys/fanotify.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int file = must(open("file", O_RDWR | O_CREAT, 0600)), fd = must(inotify_init1(IN_NONBLOCK));
	int group = fanotify_init(FAN_NONBLOCK | FAN_REPORT_FID, O_RDONLY);
	if (group < 0)
		skip("no fanotify here, errno %d", errno);
	int watch = must(inotify_add_watch(fd, "file", IN_MODIFY));
	must(fanotify_mark(group, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, "file"));
	must_be(write(file, "text", 4) == 4);
	ready();
	wait_for_trigger();
	struct fanotify_event_metadata event[16];
	expect_event(fd, watch, IN_MODIFY, "");
	must_be(read(group, event, sizeof(event)) > (ssize_t)sizeof(event[0]));
	expect("event", FAN_MODIFY, event[0].mask);
	pass();
}
