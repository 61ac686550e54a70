// SPDX-License-Identifier: GPL-2.0-only
// kill(-group, …) by the root reaches each of the group's members once, in whatever branch of the tree, and no other.
#include "tree.h"

enum { N = 6 };
static volatile int *signals;
static int own_number = N;
static pid_t group;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	(void)sig;
	signals[own_number] += info->si_pid == root_pid ? 1 : 100;
}

static void run(void *arg)
{
	own_number = (int)(long)arg;
	if (own_number == 0)
		must(setpgid(0, 0));
	else if (own_number % 2 == 0)
		must(setpgid(0, group));
	pid_t child = own_number < 3 ? start_child(run, (void *)(long)(own_number + 3)) : 0;
	arrive_and_wait();
	int is_member = own_number != 1; // 3 and 5 have it from their parents
	expect("signals", is_member, signals[own_number]);
	if (child)
		check_child(child);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	signals = shared_memory(PAGE);
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	must(sigaction(SIGUSR2, &action, NULL));
	pid_t children[3];
	for (long i = 0; i < 3; i++) {
		children[i] = start_child(run, (void *)i);
		group = children[0];
	}
	ready();
	wait_for_trigger();
	must(kill(-group, SIGUSR2));
	for (int i = 0; i < 3; i++)
		check_child(children[i]);
	expect("signals to the root", 0, signals[N]);
	pass();
}
