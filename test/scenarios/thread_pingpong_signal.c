// SPDX-License-Identifier: GPL-2.0-only
// Two threads send each other queued real-time signals with a counter at full speed, one receiving by sigwaitinfo, one by a
// handler in sigsuspend: each signal arrives exactly once and in order.
// @cflags -pthread
// @busy threads
// @storm 20
// @may-differ (stat/(blocked|signal)|status/(SigBlk|SigPnd|ShdPnd)) signals are on their way all the time
#include "threads.h"

static pthread_t waiter, handler;
static volatile int wanted, handled;
static int count, stopping;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	expect("code in the handler", SI_QUEUE, info->si_code);
	expect("sender in the handler", getpid(), info->si_pid);
	expect("number in the handler", wanted, info->si_value.sival_int);
	handled++;
}

static void send(pthread_t to, int sig, int number)
{
	int error = pthread_sigqueue(to, sig, (union sigval){ .sival_int = number });
	if (error)
		fail("pthread_sigqueue, wanted success, got errno %d", error);
}

static void *run_waiter(void *arg)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	arrive_and_wait();
	for (int number = 0;; number++) {
		siginfo_t info = { 0 };
		while (sigwaitinfo(&set, &info) < 0)
			expect("errno of sigwaitinfo", EINTR, errno);
		expect("code of the signal", SI_QUEUE, info.si_code);
		if (info.si_value.sival_int == -1)
			return (void *)(long)number;
		expect("number of the signal", number, info.si_value.sival_int);
		send(handler, SIGRTMIN + 2, number);
	}
	return arg;
}

static void *run_handler(void *arg)
{
	sigset_t inside;
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &inside) == 0);
	sigdelset(&inside, SIGRTMIN + 2);
	arrive_and_wait();
	for (int number = 0;; number++) {
		__atomic_store_n(&count, number, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&stopping, __ATOMIC_SEQ_CST)) {
			send(waiter, SIGRTMIN + 1, -1);
			return (void *)(long)number;
		}
		wanted = number;
		breathe(number);
		send(waiter, SIGRTMIN + 1, number);
		while (handled == number)
			sigsuspend(&inside);
		expect("handled signals", number + 1, handled);
	}
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	must(sigaction(SIGRTMIN + 2, &act, NULL));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 2);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	waiter = start_thread(run_waiter, NULL);
	handler = start_thread(run_handler, NULL);
	wait_for_value(&arrived_count, 2);
	set_value(&released_word, 1);
	ready();
	wait_for_trigger();
	int from = __atomic_load_n(&count, __ATOMIC_SEQ_CST);
	struct timespec ms = { 0, 1000000 };
	for (int n = 0; __atomic_load_n(&count, __ATOMIC_SEQ_CST) - from < 1000; n++) {
		if (n > 10000)
			fail("wanted 1000 exchanges after the restore, got %d in 10 s", count - from);
		nanosleep(&ms, NULL);
	}
	__atomic_store_n(&stopping, 1, __ATOMIC_SEQ_CST);
	expect("numbers on both sides", (long)join_thread(handler), (long)join_thread(waiter));
	pass();
}
