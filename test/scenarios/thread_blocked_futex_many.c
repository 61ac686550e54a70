// SPDX-License-Identifier: GPL-2.0-only
// Twelve threads blocked on one futex with bit masks of their own: a wake-up after the restore reaches just those it names.
// @cflags -pthread
#include "threads.h"
enum { N = 12 };
static unsigned word, woken;

static void *run(void *arg)
{
	arrive();
	expect("result of the wait", 0,
	       syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 1u << (long)arg));
	__atomic_or_fetch(&woken, 1u << (long)arg, __ATOMIC_SEQ_CST);
	futex_wake(&woken, INT_MAX);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	struct timespec ms = { 0, 20000000 };
	nanosleep(&ms, NULL); // by now all of them are back in their waits
	expect("woken by three bits", 3, syscall(SYS_futex, &word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 1 << 2 | 1 << 5 | 1 << 11));
	wait_for_value(&woken, 1 << 2 | 1 << 5 | 1 << 11);
	expect("woken by the rest", N - 3, syscall(SYS_futex, &word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, ~0u));
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
