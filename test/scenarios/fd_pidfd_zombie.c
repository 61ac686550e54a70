// SPDX-License-Identifier: GPL-2.0-only
// A pidfd of a zombie, in its parent and in another child, still leads to it: it can be reaped by that.
#include "tree.h"

static int fd;

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	must(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t zombie = start_sleeper();
	fd = must(syscall(SYS_pidfd_open, zombie, 0));
	must(kill(zombie, SIGKILL));
	await_zombie(zombie);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	siginfo_t info;
	must(waitid((idtype_t)3, fd, &info, WEXITED));
	expect("pid", zombie, info.si_pid);
	expect("signal", SIGKILL, info.si_status);
	expect("signal to the dead", -1, syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	expect_no_child();
	pass();
}
