// SPDX-License-Identifier: GPL-2.0-only
// An unprivileged user that kept some capabilities over setuid (PR_SET_KEEPCAPS).
// @peer-needs cap:sys_resource
#include "scenario.h"
#include <linux/capability.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	must(setresgid(1234, 1234, 1234));
	must(setresuid(1234, 1234, 1234));
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0, 0, 0 }, { 0, 0, 0 } }, got[2];
	data[0].permitted = 1 << CAP_NET_BIND_SERVICE | 1 << CAP_SETUID;
	data[0].effective = 1 << CAP_NET_BIND_SERVICE;
	must(syscall(SYS_capset, &header, data));
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	ready();
	wait_for_trigger();
	must(syscall(SYS_capget, &header, got));
	expect("permitted", data[0].permitted, got[0].permitted);
	expect("effective", data[0].effective, got[0].effective);
	expect("keepcaps", 1, prctl(PR_GET_KEEPCAPS));
	expect("uid", 1234, getuid());
	pass();
}
