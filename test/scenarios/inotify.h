// SPDX-License-Identifier: GPL-2.0-only
// Reading events of inotify in scenario programs.
#ifndef INOTIFY_H
#define INOTIFY_H
#include "scenario.h"
#include <poll.h>
#include <sys/inotify.h>

// One event, which has to be there; the name is "" where there's none. An inotify that doesn't wait.
__attribute__((unused)) static void expect_event(int fd, int wd, uint32_t mask, const char *name)
{
	static char buffer[65536] __attribute__((aligned(8)));
	static size_t at, end;
	static int owner = -1;
	if (owner != fd || at == end) {
		must_be(owner == fd || at == end);
		ssize_t n = read(fd, buffer, sizeof(buffer));
		if (n < 0)
			fail("event 0x%x of watch %d (%s), wanted one, got errno %d", mask, wd, name, errno);
		at = 0;
		end = n;
		owner = fd;
	}
	struct inotify_event *event = (struct inotify_event *)(buffer + at);
	at += sizeof(*event) + event->len;
	if (event->wd != wd || event->mask != mask || strcmp(event->len ? event->name : "", name))
		fail("event, wanted 0x%x of watch %d (%s), got 0x%x of watch %d (%s)", mask, wd, name, event->mask, event->wd,
			 event->len ? event->name : "");
}

__attribute__((unused)) static void expect_no_event(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int n = must(poll(&poll_fd, 1, 0));
	if (n == 0)
		return;
	char buffer[4096] __attribute__((aligned(8)));
	must(read(fd, buffer, sizeof(buffer)));
	struct inotify_event *event = (struct inotify_event *)buffer;
	fail("no event, got 0x%x of watch %d (%s)", event->mask, event->wd, event->len ? event->name : "");
}
#endif
