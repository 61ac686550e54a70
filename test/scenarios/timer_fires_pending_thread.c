// SPDX-License-Identifier: GPL-2.0-only
// Fired timers aimed at threads whose signals are blocked: each is pending for its own thread with its value, once.
// @cflags -pthread
// @trigger file
#include "threads.h"
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { N = 3 };

static void *run(void *arg)
{
	long i = (long)arg;
	sigset_t set, pending;
	siginfo_t info;
	struct timespec zero = { 0, 0 };
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 6);
	must_be(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 6, .sigev_value.sival_int = 900 + i };
	event.sigev_notify_thread_id = own_tid();
	timer_t id;
	must(timer_create(CLOCK_MONOTONIC, &event, &id));
	must(timer_settime(id, 0, &(struct itimerspec){ .it_value = { 0, 1 } }, NULL));
	do
		must(sigpending(&pending));
	while (!sigismember(&pending, SIGRTMIN + 6));
	arrive_and_wait();
	must_be(sigtimedwait(&set, &info, &zero) == SIGRTMIN + 6);
	expect("code", SI_TIMER, info.si_code);
	expect("value", 900 + i, info.si_value.sival_int);
	expect("second one", -1, sigtimedwait(&set, &info, &zero));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	wait_for_value(&arrived_count, N);
	ready();
	wait_for_file();
	set_value(&released_word, 1);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
