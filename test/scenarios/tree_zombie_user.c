// SPDX-License-Identifier: GPL-2.0-only
// A zombie of another user keeps that user: waitid tells it.
// @peer-needs cap:sys_resource
#include "tree.h"

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = must(fork());
	if (child == 0) {
		if (setgid(2001) < 0 || setuid(2000) < 0)
			_exit(1);
		_exit(9);
	}
	await_zombie(child);
	ready();
	wait_for_trigger();
	siginfo_t info = { 0 };
	must(waitid(P_PID, child, &info, WEXITED | WNOHANG));
	expect("si_uid", 2000, info.si_uid);
	expect("si_status", 9, info.si_status);
	pass();
}
