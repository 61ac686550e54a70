// SPDX-License-Identifier: GPL-2.0-only
// shared TASKS COUNT: that many open regular files, which as many tasks share by fork.
#include "target.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static size_t tasks, count;
static int *fds;
static pid_t *pids;

static int look(void)
{
	for (size_t i = 0; i < count; i++)
		if (lseek(fds[i], 0, SEEK_CUR) != (off_t)(i % 8))
			return 0;
	return 1;
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
	struct rlimit limit = { count + 64, count + 64 };
	need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
	fds = calloc(count, sizeof(*fds));
	pids = calloc(tasks, sizeof(*pids));
	need(fds != NULL && pids != NULL, "calloc");
	for (size_t i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof(name), "file-%zu", i);
		fds[i] = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		need(fds[i] >= 0, name);
		need(write(fds[i], "content", 8) == 8 && lseek(fds[i], i % 8, SEEK_SET) >= 0, "write");
	}
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
