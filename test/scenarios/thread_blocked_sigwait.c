// SPDX-License-Identifier: GPL-2.0-only
// Threads blocked in sigwaitinfo, sigtimedwait, sigsuspend and pause: a signal to each after the restore ends just its call.
// @cflags -pthread
#include "threads.h"

enum { N = 4 };
static pid_t tids[N];
static __thread int handled, handled_value;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	handled++;
	handled_value = info->si_value.sival_int;
}

static void *run(void *arg)
{
	long i = (long)arg;
	sigset_t set;
	siginfo_t info = { 0 };
	struct timespec hour = { 3600, 0 };
	tids[i] = own_tid();
	sigfillset(&set);
	if (i < 3)
		must_be(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 5);
	if (i == 2) {
		sigfillset(&set);
		sigdelset(&set, SIGRTMIN + 5);
	}
	arrive();
	if (i < 2) {
		while ((i ? sigtimedwait(&set, &info, &hour) : sigwaitinfo(&set, &info)) != SIGRTMIN + 5)
			expect("errno", EINTR, errno);
		expect("value", 600 + i, info.si_value.sival_int);
		expect("code", SI_QUEUE, info.si_code);
		return NULL;
	}
	while (!handled) {
		expect("result", -1, i == 2 ? sigsuspend(&set) : pause());
		expect("errno", EINTR, errno);
	}
	expect("handled signals", 1, handled);
	expect("value", 600 + i, handled_value);
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
	expect("blocked after the call", i == 2, sigismember(&set, SIGRTMIN + 5));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	must(sigaction(SIGRTMIN + 5, &act, NULL));
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	for (int i = 0; i < N; i++)
		must_be(pthread_sigqueue(threads[i], SIGRTMIN + 5, (union sigval){ .sival_int = 600 + i }) == 0);
	for (int i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
