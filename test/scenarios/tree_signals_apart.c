// SPDX-License-Identifier: GPL-2.0-only
// Children with signal handlers, masks, ignored signals and pending ones of their own.
#include "tree.h"

static volatile int got[4];
static void on_signal(int sig)
{
	(void)sig;
	got[0]++;
}

static void run(void *arg)
{
	long number = (long)arg;
	sigset_t set, pending, mask;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + number);
	signal(SIGUSR2, number == 0 ? SIG_IGN : number == 1 ? SIG_DFL : on_signal);
	signal(SIGRTMIN + number, on_signal);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i <= number; i++)
		must(sigqueue(getpid(), SIGRTMIN + number, (union sigval){ .sival_int = i }));
	if (number == 2)
		must(kill(getpid(), SIGUSR2));
	arrive_and_wait();
	struct sigaction action;
	must(sigaction(SIGUSR2, NULL, &action));
	must_be(action.sa_handler == (number == 0 ? SIG_IGN : number == 1 ? SIG_DFL : on_signal));
	must(sigprocmask(SIG_BLOCK, NULL, &mask));
	must(sigpending(&pending));
	for (int i = 0; i < 3; i++) {
		expect("real-time signal blocked", i == number, sigismember(&mask, SIGRTMIN + i));
		expect("real-time signal pending", i == number, sigismember(&pending, SIGRTMIN + i));
	}
	expect("SIGUSR2 pending", number == 2, sigismember(&pending, SIGUSR2));
	must(sigprocmask(SIG_UNBLOCK, &set, NULL));
	expect("signals delivered", number + 1 + (number == 2), got[0]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[3];
	for (long i = 0; i < 3; i++)
		children[i] = start_child(run, (void *)i);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++)
		check_child(children[i]);
	expect("signals to the root", 0, got[0]);
	pass();
}
