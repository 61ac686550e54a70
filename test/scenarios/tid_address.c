// SPDX-License-Identifier: GPL-2.0-only
// The address that the kernel clears at exit (set_tid_address) is kept.
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static int word;
	must(syscall(SYS_set_tid_address, &word));
	ready();
	wait_for_trigger();
	int *got = NULL;
	if (prctl(PR_GET_TID_ADDRESS, &got) < 0)
		skip("PR_GET_TID_ADDRESS: %s", strerror(errno));
	expect("clear_child_tid", (long)&word, (long)got);
	pass();
}
