// SPDX-License-Identifier: GPL-2.0-only
// A parent with SA_NOCLDWAIT and a handler: its children leave no zombies but each end is told.
// @skip-mode leave-stopped that children stop and go on is news to their parent
#include "tree.h"

static volatile sig_atomic_t signals;
static void on_child(int sig)
{
	(void)sig;
	signals++;
}

static void end_without_trace(pid_t child)
{
	must(kill(child, SIGUSR1));
	int got;
	while ((got = waitpid(child, NULL, 0)) < 0 && errno == EINTR)
		;
	expect("wait", -1, got);
	expect("its errno", ECHILD, errno);
	expect("the child", -1, kill(child, 0));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	(void)on_child;
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_NOCLDWAIT };
	must(sigaction(SIGCHLD, &action, NULL));
	pid_t children[3] = { start_sleeper(), start_sleeper(), start_sleeper() };
	end_without_trace(children[0]);
	int before = signals;
	ready();
	wait_for_trigger();
	expect("signals so far", before, signals);
	for (int i = 1; i < 3; i++)
		end_without_trace(children[i]);
	expect("signals", before * 3, signals);
	expect_no_child();
	pass();
}
