// SPDX-License-Identifier: GPL-2.0-only
// Two hundred zombies, some of them below a child that lives.
#include "tree.h"

enum { N = 100 };

static void make(pid_t *pids)
{
	for (int i = 0; i < N; i++) {
		pids[i] = must(fork());
		if (pids[i] == 0) {
			if (i % 3 == 2)
				kill(getpid(), SIGKILL);
			_exit(i);
		}
		await_zombie(pids[i]);
	}
}

static void check(pid_t *pids)
{
	for (int i = 0; i < N; i++) {
		int status = -1;
		expect("reaped pid", pids[i], waitpid(pids[i], &status, WNOHANG));
		expect("wait status", i % 3 == 2 ? SIGKILL : i << 8, status);
	}
	expect_no_child();
}

static void run(void *arg)
{
	(void)arg;
	static pid_t own[N];
	make(own);
	arrive_and_wait();
	check(own);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	static pid_t own[N];
	make(own);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++)
		expect("reaped pid", own[i], waitpid(own[i], NULL, WNOHANG));
	check_child(child);
	expect_no_child();
	pass();
}
