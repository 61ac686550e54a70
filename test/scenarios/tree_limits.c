// SPDX-License-Identifier: GPL-2.0-only
// Children with resource limits of their own: every finite soft limit lowered, a small stack, fewer files.
#include "tree.h"

static void run(void *arg)
{
	long number = (long)arg;
	struct rlimit before[RLIM_NLIMITS], now;
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		must(getrlimit(i, before + i));
		if (number == 0 && before[i].rlim_cur != RLIM_INFINITY && before[i].rlim_cur > 1) {
			before[i].rlim_cur--;
			must(setrlimit(i, before + i));
		}
	}
	if (number == 1)
		must(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 40, 50 }));
	if (number == 2)
		must(setrlimit(RLIMIT_STACK, &(struct rlimit){ 256 << 10, 1 << 20 }));
	for (int i = 0; i < RLIM_NLIMITS; i++)
		must(getrlimit(i, before + i));
	arrive_and_wait();
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		must(getrlimit(i, &now));
		expect("soft limit", before[i].rlim_cur, now.rlim_cur);
		expect("hard limit", before[i].rlim_max, now.rlim_max);
	}
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
	pass();
}
