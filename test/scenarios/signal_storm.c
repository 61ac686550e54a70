// SPDX-License-Identifier: GPL-2.0-only
// Signals arrive during every dump and restore: a thread queues numbered real-time signals to the process and to another
// thread as fast as they are taken; each arrives exactly once and in order, and standard ones never outnumber their sendings.
// @cflags -pthread
// @busy threads
// @storm 20
// @may-differ (stat/(blocked|signal)|status/(SigBlk|SigPnd|ShdPnd)) signals are on their way all the time
#include "threads.h"

static pthread_t receiver;
static int sent[2], taken[2], hups_sent, hups;

static void *send(void *arg)
{
	arrive();
	while (!__atomic_load_n(&released_word, __ATOMIC_SEQ_CST)) {
		if (sent[0] - __atomic_load_n(&taken[0], __ATOMIC_SEQ_CST) > 100) {
			sched_yield();
			continue;
		}
		must(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = sent[0]++ }));
		must_be(pthread_sigqueue(receiver, SIGRTMIN + 2, (union sigval){ .sival_int = sent[1]++ }) == 0);
		__atomic_add_fetch(&hups_sent, 1, __ATOMIC_SEQ_CST);
		must(kill(getpid(), SIGHUP));
	}
	return arg;
}

static void *receive(void *arg)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	for (int i = 1; i <= 3; i++)
		sigaddset(&set, SIGRTMIN + i);
	arrive();
	for (;;) {
		siginfo_t info = { 0 };
		int sig;
		while ((sig = sigwaitinfo(&set, &info)) < 0)
			expect("errno of sigwaitinfo", EINTR, errno);
		if (sig == SIGRTMIN + 3)
			return arg;
		if (sig == SIGHUP) {
			must_be(++hups <= __atomic_load_n(&hups_sent, __ATOMIC_SEQ_CST));
			continue;
		}
		int i = sig - SIGRTMIN - 1;
		expect("code", SI_QUEUE, info.si_code);
		expect("number", taken[i], info.si_value.sival_int);
		__atomic_add_fetch(&taken[i], 1, __ATOMIC_SEQ_CST);
	}
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	must(sigprocmask(SIG_SETMASK, &all, NULL));
	receiver = start_thread(receive, NULL);
	pthread_t sender = start_thread(send, NULL);
	wait_for_value(&arrived_count, 2);
	ready();
	wait_for_trigger();
	int from = __atomic_load_n(&taken[0], __ATOMIC_SEQ_CST);
	struct timespec ms = { 0, 1000000 };
	for (int n = 0; __atomic_load_n(&taken[0], __ATOMIC_SEQ_CST) - from < 1000; n++) {
		if (n > 10000)
			fail("wanted 1000 signals after the restore, got fewer in 10 s");
		nanosleep(&ms, NULL);
	}
	set_value(&released_word, 1);
	join_thread(sender);
	for (int n = 0; __atomic_load_n(&taken[0], __ATOMIC_SEQ_CST) < sent[0] && n < 10000; n++)
		nanosleep(&ms, NULL);
	must_be(pthread_sigqueue(receiver, SIGRTMIN + 3, (union sigval){ 0 }) == 0); // the last to be taken, by its number
	join_thread(receiver);
	expect("signals of the process", sent[0], taken[0]);
	expect("signals of the thread", sent[1], taken[1]);
	must_be(hups > 0);
	pass();
}
