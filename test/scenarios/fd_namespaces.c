// SPDX-License-Identifier: GPL-2.0-only
// Handles of the namespaces that the program is in lead to those that it's in afterwards; one is of its child.
#include "tree.h"
#include <sys/ioctl.h>

static const char *const names[] = { "net", "uts", "ipc", "mnt", "pid", "user", "cgroup" };
enum { N = sizeof(names) / sizeof(names[0]) };

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int fds[N];
	char path[64];
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		fds[i] = must(open(path, O_RDONLY | (i % 2 ? O_CLOEXEC : 0)));
	}
	pid_t pid = start_sleeper();
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	int childs = must(open(path, O_RDONLY));
	ready();
	wait_for_trigger();
	struct stat a, b;
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		must(stat(path, &a));
		must(fstat(fds[i], &b));
		expect(names[i], a.st_ino, b.st_ino);
	}
	must(stat("/proc/self/ns/net", &a));
	must(fstat(childs, &b));
	expect("the child's", a.st_ino, b.st_ino);
	must(setns(childs, CLONE_NEWNET));
	check_child(pid);
	pass();
}
