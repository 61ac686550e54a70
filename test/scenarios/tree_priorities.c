// SPDX-License-Identifier: GPL-2.0-only
// Sleeping children with nice values and scheduling policies of their own, and one whose children don't inherit its policy.
#include "tree.h"

struct plan { int nice, policy, priority; };
static const struct plan plans[] = {
	{ -20, SCHED_OTHER, 0 }, { 19, SCHED_OTHER, 0 }, { 1, SCHED_OTHER, 0 }, { 5, SCHED_BATCH, 0 }, { 0, SCHED_IDLE, 0 },
	{ 0, SCHED_RR | SCHED_RESET_ON_FORK, 3 }, { 0, SCHED_FIFO, 7 },
};
enum { N = sizeof(plans) / sizeof(*plans) };

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[N];
	for (int i = 0; i < N; i++) {
		children[i] = start_sleeper();
		must(sched_setscheduler(children[i], plans[i].policy, &(struct sched_param){ plans[i].priority }));
		must(setpriority(PRIO_PROCESS, children[i], plans[i].nice));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		errno = 0;
		expect("nice value", plans[i].nice, getpriority(PRIO_PROCESS, children[i]));
		expect("policy", plans[i].policy, sched_getscheduler(children[i]));
		struct sched_param got;
		must(sched_getparam(children[i], &got));
		expect("priority", plans[i].priority, got.sched_priority);
		check_child(children[i]);
	}
	pass();
}
