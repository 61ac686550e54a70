// SPDX-License-Identifier: GPL-2.0-only
// fanotify: marks of an inode, with and without what is to be ignored, of a folder and its children, and of a mount.
#include "scenario.h"
#include <sys/fanotify.h>

static void expect_event(int group, uint64_t mask)
{
	char buffer[4096] __attribute__((aligned(8)));
	struct fanotify_event_metadata *event = (void *)buffer;
	ssize_t n = read(group, buffer, sizeof(*event));
	if (n != sizeof(*event))
		fail("event 0x%llx, wanted one, got %zd (errno %d)", (long long)mask, n, errno);
	expect("event", mask, event->mask);
	must_be(event->fd >= 0);
	expect("flags of the event's file", O_RDONLY, must(fcntl(event->fd, F_GETFL)) & O_ACCMODE);
	must(close(event->fd));
}

static void expect_none(int group)
{
	char buffer[4096];
	expect("events", -1, read(group, buffer, sizeof(buffer)));
	expect("error", EAGAIN, errno);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("folder", 0700));
	int file = must(open("folder/file", O_RDWR | O_CREAT, 0600));
	int group = fanotify_init(FAN_NONBLOCK | FAN_CLASS_NOTIF | FAN_UNLIMITED_QUEUE | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE);
	if (group < 0 && errno == ENOSYS)
		skip("no fanotify in this kernel");
	must(group);
	int second = must(fanotify_init(FAN_NONBLOCK | FAN_UNLIMITED_MARKS | FAN_CLOEXEC, O_RDONLY));
	must(fanotify_mark(group, FAN_MARK_ADD, FAN_MODIFY | FAN_OPEN | FAN_CLOSE, AT_FDCWD, "folder/file"));
	must(fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN | FAN_ONDIR, AT_FDCWD, "/dev/shm"));
	must(fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY,
					   FAN_MODIFY | FAN_ACCESS, AT_FDCWD, "/dev/shm"));
	must(fanotify_mark(second, FAN_MARK_ADD, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD, AT_FDCWD, "folder"));
	must(fanotify_mark(second, FAN_MARK_ADD, FAN_CLOSE_WRITE | FAN_MODIFY, AT_FDCWD, "folder/file"));
	must(fanotify_mark(second, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_MODIFY,
					   AT_FDCWD, "folder/file"));
	ready();
	wait_for_trigger();
	for (char buffer[4096]; read(group, buffer, sizeof(buffer)) > 0;)
		; // others may have opened files of that mount
	must(fanotify_mark(group, FAN_MARK_REMOVE | FAN_MARK_MOUNT, FAN_OPEN | FAN_ONDIR, AT_FDCWD, "/dev/shm"));
	must(fanotify_mark(group, FAN_MARK_REMOVE | FAN_MARK_MOUNT | FAN_MARK_IGNORED_MASK, FAN_MODIFY, AT_FDCWD, "/dev/shm"));
	expect_none(second);
	must_be(write(file, "text", 4) == 4);
	expect_event(group, FAN_MODIFY);
	expect_none(second);
	must(close(file));
	expect_event(group, FAN_CLOSE_WRITE);
	expect_event(second, FAN_CLOSE_WRITE);
	must(close(must(open("folder/other", O_WRONLY | O_CREAT, 0600))));
	expect_event(second, FAN_CLOSE_WRITE);
	expect_none(group);
	expect_none(second);
	pass();
}
