// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a filter that asks a supervisor (user notification), whose listening descriptor nothing can rebuild.
// @expect refused SECCOMP_NOTIFY
#include "seccomp.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	int fd = must(install_rule(3000, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER));
	ready();
	wait_for_trigger();
	must(close(fd));
	expect_errno("call without supervisor", ENOSYS, 3000, 0, 0);
	pass();
}
