// SPDX-License-Identifier: GPL-2.0-only
// SA_NOCLDSTOP stays: stops and continues of a child are told to a parent with SIGCHLD, but not to one with that flag.
// @skip-mode leave-stopped that children stop and go on is news to their parent
#include "tree.h"

static volatile sig_atomic_t signals;
static void on_child(int sig)
{
	(void)sig;
	signals++;
}

static void parent(void *arg)
{
	int flags = *(int *)arg, status;
	struct sigaction action = { .sa_handler = on_child, .sa_flags = flags };
	must(sigaction(SIGCHLD, &action, NULL));
	pid_t child = start_sleeper();
	arrive_and_wait();
	expect("signals so far", 0, signals);
	must(kill(child, SIGSTOP));
	while (waitpid(child, &status, WUNTRACED) < 0 && errno == EINTR)
		;
	must_be(WIFSTOPPED(status));
	expect("signals of the stop", flags ? 0 : 1, signals);
	must(kill(child, SIGCONT));
	while (waitpid(child, &status, WCONTINUED) < 0 && errno == EINTR)
		;
	while (!flags && signals < 2) // sent only after the wait can be answered
		usleep(500);
	expect("signals of stop and continue", flags ? 0 : 2, signals);
	must(kill(child, SIGUSR1));
	expect_exit(child, 0);
	expect("signals in all", flags ? 1 : 3, signals);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int kinds[2] = { 0, SA_NOCLDSTOP };
	pid_t children[2];
	for (int i = 0; i < 2; i++)
		children[i] = start_child(parent, kinds + i);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++)
		check_child(children[i]);
	pass();
}
