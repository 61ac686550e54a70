// SPDX-License-Identifier: GPL-2.0-only
// Each thread's FS and GS base: FS the thread block, GS a value of its own or zero.
// @cflags -pthread
#include "threads.h"
#include <asm/prctl.h>

enum { N = 5 };
static unsigned long areas[N + 1][4];

static void set_up(long i)
{
	areas[i][1] = 0xbee0000 + i;
	must(syscall(SYS_arch_prctl, ARCH_SET_GS, i == 2 ? NULL : areas[i]));
}

static void check(long i)
{
	unsigned long fs = 0, gs = 1;
	must(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
	must(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
	expect("FS base", (long)__builtin_thread_pointer(), fs);
	if (i == 2) {
		expect("GS base of zero", 0, gs);
		return;
	}
	unsigned long through = 0;
	expect("GS base", (long)areas[i], gs);
	asm volatile("mov %%gs:8, %0" : "=r"(through));
	expect("value read through GS", 0xbee0000 + i, through);
}

static void *run(void *arg)
{
	set_up((long)arg);
	arrive_and_wait();
	check((long)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	set_up(N);
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	check(N);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
