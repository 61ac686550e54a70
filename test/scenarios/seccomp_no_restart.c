// SPDX-License-Identifier: GPL-2.0-only
// Asleep with a time limit under a filter that kills for restart_syscall, which the kernel itself makes a stopped sleeper
// call: no stop may end in it. The sleep takes its time.
#include "seccomp.h"
#include <time.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(install_rule(SYS_restart_syscall, SECCOMP_RET_KILL_PROCESS, 0));
	ready();
	while (!scenario_triggered) {
		struct timespec begin, end, rest, length = { 100, 0 };
		must(clock_gettime(CLOCK_MONOTONIC, &begin));
		long ret = syscall(SYS_nanosleep, &length, &rest);
		must(clock_gettime(CLOCK_MONOTONIC, &end));
		if (ret == 0 && end.tv_sec - begin.tv_sec < 99)
			fail("nanosleep of 100 s ended after %ld s", (long)(end.tv_sec - begin.tv_sec));
		must_be(ret == 0 || errno == EINTR);
	}
	pass();
}
