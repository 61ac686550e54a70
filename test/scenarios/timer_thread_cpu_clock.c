// SPDX-License-Identifier: GPL-2.0-only
// Timers on the CPU clock of another thread, ticking while that thread spins, and of one that sleeps, which stays silent.
// @cflags -pthread
// @busy threads
// @may-differ (stat/(blocked|signal)|status/(SigBlk|SigPnd|ShdPnd)) ticks are pending or handled at times
#include "threads.h"

static pthread_t threads[2];
static volatile int ticks[2];

static void on_tick(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	ticks[info->si_value.sival_int]++;
}

static void *run(void *arg)
{
	arrive();
	if (arg)
		wait_for_value(&released_word, 1);
	else
		while (!__atomic_load_n(&released_word, __ATOMIC_SEQ_CST))
			;
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART };
	must(sigaction(SIGRTMIN + 1, &act, NULL));
	timer_t ids[2];
	for (long i = 0; i < 2; i++) {
		clockid_t clock;
		threads[i] = start_thread(run, (void *)i);
		must_be(pthread_getcpuclockid(threads[i], &clock) == 0);
		struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = i };
		must(timer_create(clock, &event, &ids[i]));
		must(timer_settime(ids[i], 0, &(struct itimerspec){ { 0, 10000000 }, { 0, 50000000 } }, NULL));
	}
	wait_for_value(&arrived_count, 2);
	ready();
	wait_for_trigger();
	ticks[0] = ticks[1] = 0;
	struct timespec ms = { 0, 1000000 };
	for (int n = 0; ticks[0] < 3 && n < 10000; n++)
		nanosleep(&ms, NULL);
	must_be(ticks[0] >= 3);
	expect("ticks for the thread that sleeps", 0, ticks[1]);
	for (int i = 0; i < 2; i++) {
		struct itimerspec spec;
		must(timer_gettime(ids[i], &spec));
		expect("interval", 10000000, spec.it_interval.tv_nsec);
	}
	set_value(&released_word, 1);
	join_thread(threads[0]);
	join_thread(threads[1]);
	pass();
}
