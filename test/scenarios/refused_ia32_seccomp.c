// SPDX-License-Identifier: GPL-2.0-only
// A 32-bit program under seccomp: its filter, which holds again once criu has died, could forbid the calls that lead back.
// @needs ia32 multilib
// @cflags -m32
// @expect refused COMPAT_TASK
// @expect-text is a 32-bit program under seccomp
#include "scenario.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sock_filter all[] = { { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
	struct sock_fprog program = { 1, all };
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	ready();
	wait_for_trigger();
	pass();
}
