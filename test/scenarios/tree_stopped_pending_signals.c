// SPDX-License-Identifier: GPL-2.0-only
// Signals queued for a stopped child, with their data and in order, are delivered when it goes on, not before.
#include "tree.h"

static volatile int got[16], count;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	got[count++] = sig * 1000 + info->si_value.sival_int;
	if (info->si_pid != root_pid || info->si_code != SI_QUEUE)
		got[count++] = -1;
}

static void run(void *arg)
{
	(void)arg;
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigfillset(&action.sa_mask);
	for (int sig = SIGRTMIN; sig <= SIGRTMIN + 2; sig++)
		must(sigaction(sig, &action, NULL));
	arrive_and_wait();
	static const int wanted[] = { 0, 1, 2 }; // by number, lower first; each in order
	expect("signals", 6, count);
	for (int i = 0; i < 3; i++) {
		expect("first of a kind", (SIGRTMIN + wanted[i]) * 1000 + 10 + i, got[2 * i]);
		expect("second of a kind", (SIGRTMIN + wanted[i]) * 1000 + 20 + i, got[2 * i + 1]);
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(run, NULL);
	int status;
	must(kill(child, SIGSTOP));
	expect("stopped child", child, waitpid(child, &status, WUNTRACED));
	for (int round = 1; round <= 2; round++)
		for (int i = 2; i >= 0; i--)
			must(sigqueue(child, SIGRTMIN + i, (union sigval){ .sival_int = round * 10 + i }));
	ready();
	wait_for_trigger();
	expect("state", 'T', state_letter(child));
	must(kill(child, SIGCONT));
	check_child(child);
	pass();
}
