// SPDX-License-Identifier: GPL-2.0-only
// A handler of SIGCHLD runs once for each child that ends and never for anything that a checkpoint does.
// @skip-mode leave-stopped that children stop and go on is news to their parent
#include "tree.h"

static volatile int signals, pids[8], codes[8];
static void on_child(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	pids[signals] = info->si_pid;
	codes[signals++] = info->si_code * 1000 + info->si_status;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART };
	must(sigaction(SIGCHLD, &action, NULL));
	pid_t children[3], zombie = must(fork());
	if (zombie == 0)
		_exit(2);
	await_zombie(zombie);
	while (!signals)
		usleep(1000);
	for (int i = 0; i < 3; i++)
		children[i] = start_sleeper();
	ready();
	wait_for_trigger();
	expect("signals so far", 1, signals);
	expect_exit(zombie, 2);
	for (int i = 0; i < 3; i++) {
		must(kill(children[i], SIGKILL));
		expect_killed(children[i], SIGKILL);
		expect("signals", 2 + i, signals);
		expect("si_pid", children[i], pids[1 + i]);
		expect("si_code and si_status", CLD_KILLED * 1000 + SIGKILL, codes[1 + i]);
	}
	pass();
}
