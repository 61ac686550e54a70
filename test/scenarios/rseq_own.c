// SPDX-License-Identifier: GPL-2.0-only
// An own rseq area in place of the C library's stays registered, with its critical-section pointer.
#include "scenario.h"
#include <sys/rseq.h>

static struct rseq own __attribute__((aligned(32)));

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (__rseq_size) {
		void *libc = (char *)__builtin_thread_pointer() + __rseq_offset;
		if (syscall(SYS_rseq, libc, 32, 1 /* unregister */, RSEQ_SIG) < 0)
			skip("cannot unregister the C library's rseq: %s", strerror(errno));
	}
	if (syscall(SYS_rseq, &own, 32, 0, 0x53053053) < 0)
		skip("rseq: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("registering again", -1, syscall(SYS_rseq, &own, 32, 0, 0x53053053));
	expect("errno of registering again", EBUSY, errno);
	own.cpu_id = -1;
	for (int i = 0; i < 10000 && (int)own.cpu_id < 0; i++) {
		struct timespec ms = { 0, 1000000 };
		nanosleep(&ms, NULL); // the kernel writes the area when the task is scheduled again
	}
	must_be((int)own.cpu_id >= 0);
	must(syscall(SYS_rseq, &own, 32, 1, 0x53053053));
	pass();
}
