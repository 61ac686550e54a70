// SPDX-License-Identifier: GPL-2.0-only
// POSIX timers aimed at threads (SIGEV_THREAD_ID) tick on after the restore, each at its own thread with its value.
// @cflags -pthread
// @may-differ (stat/(blocked|signal)|status/(SigBlk|SigPnd|ShdPnd)) ticks are pending or handled at times
#include "threads.h"
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { N = 4 };
static int ticks[N];
static __thread long own_number = -1;

static void on_tick(int sig, siginfo_t *info, void *context)
{
	(void)context;
	expect("code", SI_TIMER, info->si_code);
	expect("signal", SIGRTMIN + 1 + own_number % 2, sig);
	expect("value at the thread that got it", 0x70 + own_number, info->si_value.sival_int);
	__atomic_add_fetch(&ticks[own_number], 1, __ATOMIC_SEQ_CST);
}

static timer_t start_timer(long i)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGRTMIN + 1 + i % 2,
		.sigev_value.sival_int = 0x70 + i,
	};
	event.sigev_notify_thread_id = own_tid();
	timer_t id;
	must(timer_create(i == 1 ? CLOCK_REALTIME : i == 2 ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &event, &id));
	struct itimerspec spec = { { 0, 5000000 + i * 1000000 }, { 0, 5000000 } };
	must(timer_settime(id, 0, &spec, NULL));
	return id;
}

static void *run(void *arg)
{
	long i = own_number = (long)arg;
	timer_t id = start_timer(i);
	arrive_and_wait();
	int from = __atomic_load_n(&ticks[i], __ATOMIC_SEQ_CST);
	struct timespec ms = { 0, 1000000 };
	for (int n = 0; __atomic_load_n(&ticks[i], __ATOMIC_SEQ_CST) < from + 5; n++) {
		if (n > 10000)
			fail("timer %ld, wanted 5 ticks, got fewer in 10 s", i);
		nanosleep(&ms, NULL);
	}
	struct itimerspec spec;
	must(timer_gettime(id, &spec));
	expect("interval", 5000000 + i * 1000000, spec.it_interval.tv_nsec);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	for (int i = 1; i < 3; i++) {
		struct sigaction act = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART };
		must(sigaction(SIGRTMIN + i, &act, NULL));
	}
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
