// SPDX-License-Identifier: GPL-2.0-only
// The restartable-sequences area that the C library registered is registered still.
#include "scenario.h"
#include <sys/rseq.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (__rseq_size == 0)
		skip("the C library registered no rseq area");
	struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	must_be((int)area->cpu_id >= 0);
	ready();
	wait_for_trigger();
	must_be((int)area->cpu_id >= 0);
	expect("registering again", -1, syscall(SYS_rseq, area, 32, 0, RSEQ_SIG));
	expect("errno of registering again", EBUSY, errno);
	pass();
}
