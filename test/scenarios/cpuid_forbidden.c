// SPDX-License-Identifier: GPL-2.0-only
// CPUID is forbidden to a thread (ARCH_SET_CPUID), and allowed to the others.
// @cflags -pthread
// @skip-peer the original doesn't keep it
#include "threads.h"
#include <asm/prctl.h>

static void expect_cpuid(long allowed)
{
	expect("CPUID allowed", allowed, syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
}

static void *run(void *arg)
{
	if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) < 0)
		skip("ARCH_SET_CPUID: %s", strerror(errno));
	arrive_and_wait();
	expect_cpuid(0);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread = start_thread(run, NULL);
	checkpoint_threads(1);
	expect_cpuid(1);
	join_thread(thread);
	pass();
}
