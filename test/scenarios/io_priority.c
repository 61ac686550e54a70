// SPDX-License-Identifier: GPL-2.0-only
// The IO priority of the process.
// @skip-peer CRIU 4.1.1 does not keep IO priorities
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const int value = 2 << 13 | 5;
	if (syscall(SYS_ioprio_set, 1 /* process */, 0, value) < 0)
		skip("ioprio_set: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("IO priority", value, syscall(SYS_ioprio_get, 1, 0));
	pass();
}
