// SPDX-License-Identifier: GPL-2.0-only
// 40 filters on top of each other, in their order: where two rule the same call the later one's error number counts.
#include "seccomp.h"

enum { N = 40 };

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	for (int i = 0; i < N; i++)
		must(install_rule(3000 + i / 2, SECCOMP_RET_ERRNO | (1000 + i), 0)); // numbers that no system call has
	must(install_rule(SYS_getppid, SECCOMP_RET_ERRNO | 1500, 0));
	must(install_rule(SYS_getppid, SECCOMP_RET_TRACE | 7, 0)); // an error number ranks above it
	ready();
	wait_for_trigger();
	for (int i = 0; i < N / 2; i++)
		expect_errno("call of two filters", 1000 + 2 * i + 1, 3000 + i, 0, 0);
	expect_errno("call of an error and a trace filter", 1500, SYS_getppid, 0, 0);
	expect("filters", N + 2, read_status("self", "Seccomp_filters:"));
	pass();
}
