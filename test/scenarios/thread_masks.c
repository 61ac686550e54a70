// SPDX-License-Identifier: GPL-2.0-only
// Every thread has its own signal mask: inherited plus two, inherited plus three, all, one, real-time ones only.
// @cflags -pthread
#include "threads.h"

enum { N = 5 };

static void make_mask(long i, sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM); // the trigger is the main thread's
	if (i == 0 || i == 1) {
		sigaddset(set, SIGWINCH);
		sigaddset(set, SIGALRM);
	}
	if (i == 1)
		sigaddset(set, SIGFPE);
	if (i == 2)
		sigfillset(set);
	if (i == 4)
		for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig += 3)
			sigaddset(set, sig);
}

static void expect_mask(const char *who, const sigset_t *wanted)
{
	sigset_t got;
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &got) == 0);
	for (int sig = 1; sig <= 64; sig++)
		if (sigismember(wanted, sig) != sigismember(&got, sig))
			fail("%s: signal %d, wanted %s, got the opposite", who, sig, sigismember(wanted, sig) ? "blocked" : "open");
}

static void *run(void *arg)
{
	sigset_t before;
	make_mask((long)arg, &before);
	must_be(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &before) == 0); // without those that the C library keeps open
	arrive_and_wait();
	char who[32];
	snprintf(who, sizeof(who), "thread %ld", (long)arg);
	expect_mask(who, &before);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	sigset_t own;
	sigemptyset(&own);
	sigaddset(&own, SIGTTOU);
	sigaddset(&own, 64);
	must_be(pthread_sigmask(SIG_SETMASK, &own, NULL) == 0);
	checkpoint_threads(N);
	expect_mask("main thread", &own);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
