// SPDX-License-Identifier: GPL-2.0-only
// kill(0, …) by a child reaches every process of its group and no other.
#include "tree.h"

enum { N = 5 };
struct plan { pid_t group; int number, wanted; };
static volatile int *signals; // of each child, in shared memory
static int own_number = N;

static void on_signal(int sig)
{
	(void)sig;
	signals[own_number]++;
}

static void run(void *arg)
{
	struct plan *plan = arg;
	must(setpgid(0, plan->group));
	own_number = plan->number;
	signal(SIGUSR2, on_signal);
	arrive_and_wait();
	if (own_number == 0)
		must(kill(0, SIGUSR2));
	expect("signals", plan->wanted, signals[own_number]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	signals = shared_memory(PAGE);
	signal(SIGUSR2, on_signal);
	pid_t children[N];
	children[0] = start_child(run, &(struct plan){ 0, 0, 1 });
	children[1] = start_child(run, &(struct plan){ children[0], 1, 1 });
	children[2] = start_child(run, &(struct plan){ children[0], 2, 1 });
	children[3] = start_child(run, &(struct plan){ 0, 3, 0 });
	children[4] = start_child(run, &(struct plan){ children[3], 4, 0 });
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++)
		check_child(children[i]); // the first sends; SIGUSR2 is taken before SIGUSR1's handler lets the next ones check
	expect("signals to the root", 0, signals[N]);
	pass();
}
