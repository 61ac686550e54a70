// SPDX-License-Identifier: GPL-2.0-only
// inotify: a watched file lost the name under which it's open, but has another; its folder is watched too. The link that
// keeps it makes no news.
// It reads what a dump's own link is news of, as unread events stand in the way of the next dump.
// @options --link-remap
#include "inotify.h"

static void drain(int fd)
{
	for (char buffer[4096]; read(fd, buffer, sizeof(buffer)) > 0;)
		;
}

static void wait_and_drain(int fd)
{
	sigset_t term, old;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	struct pollfd on = { .fd = fd, .events = POLLIN };
	while (!scenario_triggered)
		if (ppoll(&on, 1, NULL, &old) > 0)
			drain(fd);
	drain(fd);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("folder", 0700));
	int file = must(open("folder/file", O_RDWR | O_CREAT, 0600));
	must(link("folder/file", "other"));
	must(unlink("folder/file"));
	int fd = must(inotify_init1(IN_NONBLOCK));
	int watched = must(inotify_add_watch(fd, "other", IN_MODIFY));
	int folder = must(inotify_add_watch(fd, "folder", IN_MODIFY | IN_CREATE | IN_DELETE));
	ready();
	wait_and_drain(fd);
	must_be(write(file, "text", 4) == 4);
	expect_event(fd, folder, IN_MODIFY, "file");
	expect_event(fd, watched, IN_MODIFY, "");
	must(mkdir("folder/new", 0700));
	expect_event(fd, folder, IN_CREATE | IN_ISDIR, "new");
	expect_no_event(fd);
	pass();
}
