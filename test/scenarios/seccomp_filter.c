// SPDX-License-Identifier: GPL-2.0-only
// A filter with an error number for one call: it holds, other calls are free, and no_new_privs is kept.
#include "seccomp.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(install_rule(SYS_ptrace, SECCOMP_RET_ERRNO | 1234, 0));
	ready();
	wait_for_trigger();
	expect_errno("ptrace", 1234, SYS_ptrace, 0, 0);
	expect_errno("getppid", 0, SYS_getppid, 0, 0);
	expect("mode", 2, read_status("self", "Seccomp:"));
	expect("filters", 1, read_status("self", "Seccomp_filters:"));
	expect("no_new_privs", 1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	pass();
}
