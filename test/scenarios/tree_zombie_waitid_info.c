// SPDX-License-Identifier: GPL-2.0-only
// What waitid tells of a zombie: pid, user, code and status, for one that exited and one that was killed.
#include "tree.h"

static void check(pid_t pid, int code, int status)
{
	siginfo_t info = { 0 };
	must(waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT));
	expect("si_pid", pid, info.si_pid);
	expect("si_signo", SIGCHLD, info.si_signo);
	expect("si_code", code, info.si_code);
	expect("si_status", status, info.si_status);
	expect("si_uid", 0, info.si_uid);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t exited = must(fork());
	if (exited == 0)
		_exit(100);
	pid_t killed = must(fork());
	if (killed == 0) {
		kill(getpid(), SIGKILL);
		_exit(1);
	}
	await_zombie(exited);
	await_zombie(killed);
	check(exited, CLD_EXITED, 100);
	check(killed, CLD_KILLED, SIGKILL);
	ready();
	wait_for_trigger();
	check(exited, CLD_EXITED, 100);
	check(killed, CLD_KILLED, SIGKILL);
	expect_exit(exited, 100);
	expect_killed(killed, SIGKILL);
	pass();
}
