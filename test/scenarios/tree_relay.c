// SPDX-License-Identifier: GPL-2.0-only
// A process that's never the same for long: each forks its successor and exits, the successor being adopted by the root.
// Runs in three such lines at once; each link checks that the number handed on is right.
// @busy children
// @may-differ tree|proc/.* children come and go
// @may-differ (stat/state|status/State|stat/blocked|status/(SigBlk|ShdPnd|SigPnd)|stat/signal) as the moment wants it
// @storm 20
// @skip-peer CRIU 4.1.1 gives up after ten seconds of chasing it, if the machine is busy
// @skip-mode snapshot a link made while the test ends the tree is missed
#include "tree.h"

enum { LINES = 3 };
struct line { volatile long links; volatile int stop, ended; };

static void link_on(struct line *line, long number)
{
	for (;;) {
		if (line->links != number) {
			line->ended = 2;
			_exit(1);
		}
		line->links = number + 1;
		if (line->stop) {
			line->ended = 1;
			_exit(0);
		}
		usleep(1000);
		pid_t pid = fork();
		if (pid > 0)
			_exit(0);
		if (pid < 0) {
			line->ended = 3;
			_exit(1);
		}
		number++;
	}
}

static void reap_all(int sig)
{
	(void)sig;
	int saved = errno;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	struct sigaction action = { .sa_handler = reap_all, .sa_flags = SA_NOCLDSTOP | SA_RESTART };
	must(sigaction(SIGCHLD, &action, NULL));
	struct line *lines = shared_memory(PAGE);
	for (int i = 0; i < LINES; i++)
		if (must(fork()) == 0)
			link_on(lines + i, 0);
	ready();
	wait_for_trigger();
	long seen[LINES];
	for (int i = 0; i < LINES; i++)
		seen[i] = lines[i].links;
	for (int i = 0; i < LINES; i++)
		while (!lines[i].ended && lines[i].links < seen[i] + 5)
			usleep(500);
	for (int i = 0; i < LINES; i++) {
		lines[i].stop = 1;
		while (!lines[i].ended)
			usleep(500);
		expect("end of the line", 1, lines[i].ended);
	}
	must(sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL));
	while (waitpid(-1, NULL, 0) > 0)
		;
	pass();
}
