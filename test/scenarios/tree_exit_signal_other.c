// SPDX-License-Identifier: GPL-2.0-only
// A child whose end is told by SIGUSR2 in place of SIGCHLD, and that only a wait with __WCLONE or __WALL finds.
// @skip-peer CRIU 4.1.1 has every child end with SIGCHLD
// @skip-mode leave-stopped that children stop and go on is news to their parent
#include "tree.h"

static volatile sig_atomic_t chld, other;
static void on_signal(int sig)
{
	if (sig == SIGCHLD)
		chld++;
	else
		other++;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	signal(SIGCHLD, on_signal);
	signal(SIGUSR2, on_signal);
	pid_t child = start_child_by(SIGUSR2, sleep_until_check, NULL), usual = start_sleeper();
	ready();
	wait_for_trigger();
	expect("signals so far", 0, chld + other);
	expect("wait without __WCLONE", -1, waitpid(child, NULL, WNOHANG));
	expect("wait with __WCLONE", 0, waitpid(child, NULL, WNOHANG | __WCLONE));
	must(kill(child, SIGUSR1));
	int status;
	while (waitpid(child, &status, __WCLONE) < 0 && errno == EINTR)
		;
	expect("wait status", 0, status);
	expect("SIGCHLD", 0, chld);
	expect("SIGUSR2", 1, other);
	must(kill(usual, SIGUSR1));
	expect_exit(usual, 0);
	expect("SIGCHLD of the usual child", 1, chld);
	pass();
}
