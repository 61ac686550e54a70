// SPDX-License-Identifier: GPL-2.0-only
// A filter that root installed without no_new_privs: that bit is clear still.
#include "seccomp.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(install_rule(SYS_ptrace, SECCOMP_RET_ERRNO | 1234, 0));
	ready();
	wait_for_trigger();
	expect_errno("ptrace", 1234, SYS_ptrace, 0, 0);
	expect("no_new_privs", 0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	pass();
}
