// SPDX-License-Identifier: GPL-2.0-only
// A process in strict mode, where only read, write, exit and sigreturn are left, goes on in it (the mode is compared in /proc).
#include "scenario.h"
#include <linux/seccomp.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	char byte;
	must(pipe(ends));
	ready();
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	while (!scenario_triggered) // the handler is left by sigreturn, and the read not begun anew
		if (syscall(SYS_read, ends[0], &byte, 1) != -1 || errno != EINTR)
			break;
	if (syscall(SYS_write, scenario_out, "PASS\n", 5) == 5)
		syscall(SYS_exit, 0);
	for (;;)
		syscall(SYS_exit, 1);
}
