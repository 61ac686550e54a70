// SPDX-License-Identifier: GPL-2.0-only
// Pidfds of processes that are gone: two of each stay those of one process, and those of different ones apart.
#include "tree.h"
#include <poll.h>

static int open_pid(pid_t pid)
{
	return must(syscall(SYS_pidfd_open, pid, 0));
}

static unsigned long inode(int fd)
{
	struct stat st;
	must(fstat(fd, &st));
	return st.st_ino;
}

static void expect_dead(int fd)
{
	struct pollfd state = { fd, POLLIN, 0 };
	expect("poll of the dead", 1, poll(&state, 1, 0));
	expect("signal to the dead", -1, syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	expect("its errno", ESRCH, errno);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int fds[3][2];
	for (int i = 0; i < 3; i++) {
		pid_t pid = start_sleeper();
		fds[i][0] = open_pid(pid);
		fds[i][1] = open_pid(pid);
		must(kill(pid, i == 0 ? SIGKILL : i == 1 ? SIGHUP : SIGUSR1));
		int status;
		must(waitpid(pid, &status, 0));
	}
	int apart = inode(fds[0][0]) != inode(fds[1][0]);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++) {
		expect_dead(fds[i][0]);
		expect_dead(fds[i][1]);
		expect("inodes of one process", inode(fds[i][0]), inode(fds[i][1]));
	}
	if (apart) {
		must_be(inode(fds[0][0]) != inode(fds[1][0]));
		must_be(inode(fds[2][0]) != inode(fds[1][0]));
	}
	pass();
}
