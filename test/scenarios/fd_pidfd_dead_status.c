// SPDX-License-Identifier: GPL-2.0-only
// A pidfd of a process that is gone goes on to tell how it has ended: by a signal, or with an exit code.
// @skip-peer the peer keeps no exit status of the dead
#include "tree.h"
#include <sys/ioctl.h>

// struct pidfd_info of Linux 6.13, and PIDFD_GET_INFO.
struct info {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define GET_INFO _IOWR(0xff, 11, struct info)
#define INFO_EXIT 8

static int open_pid(pid_t pid)
{
	return must(syscall(SYS_pidfd_open, pid, 0));
}

static int exit_code(int fd)
{
	struct info info = { .mask = INFO_EXIT };
	return ioctl(fd, GET_INFO, &info) < 0 || !(info.mask & INFO_EXIT) ? -1 : info.exit_code;
}

static void end_by_code(void *arg)
{
	(void)arg;
	arrive_and_wait();
	_exit(77);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	static const int signals[] = { SIGKILL, SIGHUP, 40, SIGUSR1 };
	int fds[4], codes[4];
	for (int i = 0; i < 4; i++) {
		pid_t pid = start_child(end_by_code, NULL);
		fds[i] = open_pid(pid);
		must(kill(pid, signals[i]));
		int status;
		must(waitpid(pid, &status, 0));
		codes[i] = exit_code(fds[i]);
		if (codes[i] == -1)
			skip("this kernel forgets the dead");
		expect("status before", status, codes[i]);
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < 4; i++)
		expect("exit status", codes[i], exit_code(fds[i]));
	pass();
}
