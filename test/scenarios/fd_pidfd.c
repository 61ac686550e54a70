// SPDX-License-Identifier: GPL-2.0-only
// Pidfds of the program itself, its parent's other child and its own children refer to the same processes as before.
#include "tree.h"
#include <poll.h>

#ifndef PIDFD_NONBLOCK
#define PIDFD_NONBLOCK O_NONBLOCK
#endif

static int parent_fd, sibling_fd;

static int open_pid(pid_t pid, unsigned flags)
{
	return must(syscall(SYS_pidfd_open, pid, flags));
}

static void send(int fd, int sig)
{
	must(syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0));
}

static void run(void *arg)
{
	pid_t sibling = *(pid_t *)arg;
	parent_fd = open_pid(getppid(), 0);
	sibling_fd = open_pid(sibling, 0);
	arrive_and_wait();
	send(parent_fd, 0);
	send(sibling_fd, SIGUSR1);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int self = open_pid(getpid(), 0);
	pid_t first = start_sleeper(), second = start_child(run, &first);
	int one = open_pid(first, 0), two = open_pid(second, PIDFD_NONBLOCK), twin = must(dup(one));
	ready();
	wait_for_trigger();
	send(self, 0);
	expect("close-on-exec of a pidfd", FD_CLOEXEC, fcntl(self, F_GETFD));
	expect("non-blocking", O_NONBLOCK, fcntl(two, F_GETFL) & O_NONBLOCK);
	struct pollfd alive[2] = { { one, POLLIN, 0 }, { two, POLLIN, 0 } };
	expect("poll of the living", 0, poll(alive, 2, 0));
	check_child(second);
	expect("poll of one that is dead", 1, poll(alive + 1, 1, 0));
	struct pollfd dying = { twin, POLLIN, 0 };
	expect("poll of the sibling's end", 1, poll(&dying, 1, 10000));
	siginfo_t info;
	must(waitid((idtype_t)3, one, &info, WEXITED));
	expect("pid by the pidfd", first, info.si_pid);
	expect("signal to the dead", -1, syscall(SYS_pidfd_send_signal, one, 0, NULL, 0));
	expect("its errno", ESRCH, errno);
	pass();
}
