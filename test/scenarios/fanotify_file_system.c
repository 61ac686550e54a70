// SPDX-License-Identifier: GPL-2.0-only
// fanotify: the mark of a whole file system, in a group that reports handles and names.
// @skip-peer the peer leaves out marks of file systems
#include "scenario.h"
#include <sys/fanotify.h>
#include <sys/mount.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	// Nobody else makes anything there.
	must(mkdir("memory", 0700));
	must(mount("none", "memory", "tmpfs", 0, NULL));
	int group = must(fanotify_init(FAN_NONBLOCK | FAN_REPORT_DFID_NAME, O_RDONLY));
	must(fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CREATE | FAN_ONDIR, AT_FDCWD, "memory"));
	ready();
	wait_for_trigger();
	must(mkdir("memory/folder", 0700));
	char buffer[65536] __attribute__((aligned(8)));
	for (ssize_t n; (n = read(group, buffer, sizeof(buffer))) > 0;) {
		struct fanotify_event_metadata *event = (void *)buffer;
		for (; FAN_EVENT_OK(event, n); event = FAN_EVENT_NEXT(event, n)) {
			struct fanotify_event_info_fid *info = (void *)(event + 1);
			struct file_handle *handle = (void *)info->handle;
			const char *name = (const char *)handle->f_handle + handle->handle_bytes;
			if (strcmp(name, "folder") == 0) {
				expect("event", FAN_CREATE | FAN_ONDIR, event->mask);
				pass();
			}
		}
	}
	fail("event of the new folder, wanted one, got none");
}
