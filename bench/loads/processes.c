// SPDX-License-Identifier: GPL-2.0-only
// processes COUNT: that many children, each asleep with a number of its own in memory that it shares with no other.
#include "target.h"
#include <sys/wait.h>

static size_t count;
static pid_t *children;
static uint64_t own;

static int check(void)
{
	for (size_t i = 0; i < count; i++)
		if (kill(children[i], SIGUSR1) != 0)
			return 0;
	for (size_t i = 0; i < count; i++) {
		int status;
		if (waitpid(children[i], &status, 0) != children[i] || !WIFEXITED(status) || WEXITSTATUS(status) != i % 100)
			return 0;
	}
	return 1;
}

static void sleep_and_check(size_t number)
{
	sigset_t set;

	close(READY_FD); // it's the parent that tells, and the stage waits for the end of it
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	own = noise(number);
	while (sigwaitinfo(&set, NULL) < 0)
		;
	_exit(own == noise(number) ? number % 100 : 101);
}

int main(int argc, char **argv)
{
	count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	children = calloc(count, sizeof(*children));
	need(children != NULL, "calloc");
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0, "sigprocmask");
	for (size_t i = 0; i < count; i++) {
		children[i] = fork();
		need(children[i] >= 0, "fork");
		if (children[i] == 0)
			sleep_and_check(i);
	}
	tell_ready();
	wait_and_check(check);
}
