// SPDX-License-Identifier: GPL-2.0-only
// Registrations for membarrier.
#include "scenario.h"
#include <linux/membarrier.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	long offered = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	if (offered < 0)
		skip("membarrier: %s", strerror(errno));
	const int registrations[] = { MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
				      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE };
	const int commands[] = { MEMBARRIER_CMD_GLOBAL_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED,
				 MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE };
	for (int i = 0; i < 3; i++)
		if (offered & registrations[i])
			must(syscall(SYS_membarrier, registrations[i], 0, 0));
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++)
		if (offered & registrations[i])
			expect("membarrier command", 0, syscall(SYS_membarrier, commands[i], 0, 0));
	pass();
}
