// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a fanotify group that decides about accesses: while it stands still, nobody gets at the file.
// @expect refused FANOTIFY_PERMISSION
// @expect-text permission events
#include "scenario.h"
#include <sys/fanotify.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(close(must(open("file", O_WRONLY | O_CREAT, 0600))));
	int group = must(fanotify_init(FAN_NONBLOCK | FAN_CLASS_CONTENT, O_RDONLY));
	if (fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "file") < 0)
		skip("no permission events in this kernel");
	ready();
	wait_for_trigger();
	must(fanotify_mark(group, FAN_MARK_REMOVE, FAN_OPEN_PERM, AT_FDCWD, "file"));
	pass();
}
