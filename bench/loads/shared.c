// SPDX-License-Identifier: GPL-2.0-only
// shared TASKS COUNT: that many open regular files, which as many tasks share by fork.
#include "descriptors.h"
#include <sys/wait.h>

static size_t tasks, count;
static int *fds;
static pid_t *pids;

static int look(void)
{
	return check_files(fds, count);
}

static int check(void)
{
	int fine = look();
	for (size_t i = 1; i < tasks; i++) {
		int status;
		fine &= kill(pids[i], SIGUSR1) == 0 && waitpid(pids[i], &status, 0) == pids[i] && status == 0;
	}
	return fine;
}

int main(int argc, char **argv)
{
	tasks = argc > 1 ? strtoul(argv[1], NULL, 10) : 200;
	count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	allow_descriptors(count);
	fds = open_files(count);
	pids = calloc(tasks, sizeof(*pids));
	need(pids != NULL, "calloc");
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0, "sigprocmask");
	for (size_t i = 1; i < tasks; i++) {
		pids[i] = fork();
		need(pids[i] >= 0, "fork");
		if (pids[i] == 0) {
			close(READY_FD);
			wait_and_check(look);
		}
	}
	tell_ready();
	wait_and_check(check);
}
