// SPDX-License-Identifier: GPL-2.0-only
// Inheritable equal to permitted, and every permitted capability but two in the ambient set.
#include "scenario.h"
#include <linux/capability.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2], got[2];
	int raised[64], last = 0;
	must(syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1 << CAP_CHOWN | 1 << CAP_DAC_OVERRIDE);
	data[0].permitted &= ~(1 << CAP_DAC_OVERRIDE);
	for (int w = 0; w < 2; w++)
		data[w].inheritable = data[w].permitted;
	must(syscall(SYS_capset, &header, data));
	for (; prctl(PR_CAPBSET_READ, last, 0, 0, 0) >= 0; last++) {
		int permitted = data[last / 32].permitted >> (last % 32) & 1;
		raised[last] = permitted && last != CAP_KILL;
		if (raised[last])
			must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, last, 0, 0));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < last; i++)
		expect("ambient capability", raised[i], prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0));
	must(syscall(SYS_capget, &header, got));
	expect_bytes("capability sets", data, got, sizeof(data));
	pass();
}
