// SPDX-License-Identifier: GPL-2.0-only
// Of all registrations for membarrier exactly those come back that the process had; threads can use them.
// @cflags -pthread
#include "threads.h"
#include <linux/membarrier.h>
#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9)
#endif

static void *run(void *arg)
{
	arrive_and_wait();
	expect("private expedited barrier", 0, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	expect("barrier that nobody registered for", -1, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
	expect("its errno", EPERM, errno);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	long offered = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	if (offered < 0 || !(offered & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE))
		skip("membarrier offers %lx", offered);
	must(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	must(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0));
	long before = syscall(SYS_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0);
	pthread_t thread = start_thread(run, NULL);
	checkpoint_threads(1);
	join_thread(thread);
	if (before >= 0)
		expect("registrations", before, syscall(SYS_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0));
	pass();
}
