// SPDX-License-Identifier: GPL-2.0-only
// The registration for barriers that restart other threads' rseq critical sections.
#include "scenario.h"
#include <linux/membarrier.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) < 0)
		skip("membarrier for rseq: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("barrier", 0, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0));
	pass();
}
