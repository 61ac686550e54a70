// SPDX-License-Identifier: GPL-2.0-only
// Threads blocked in waitid and wait4 for a child each get its end after the restore.
// @cflags -pthread
// @peer-may-differ s?maps/.* the original joins neighbouring mappings where processes are related
#include "threads.h"
#include <sys/wait.h>

static pid_t children[2];
static int ends[2][2];

static void *run(void *arg)
{
	long i = (long)arg;
	arrive();
	if (i == 0) {
		siginfo_t info = { 0 };
		expect("result of waitid", 0, waitid(P_PID, children[0], &info, WEXITED));
		expect("pid", children[0], info.si_pid);
		expect("code", CLD_EXITED, info.si_code);
		expect("status", 23, info.si_status);
	} else {
		int status = -1;
		expect("result of wait4", children[1], waitpid(children[1], &status, 0));
		must_be(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
	}
	return NULL;
}

static void be_child(int fd)
{
	char byte;
	must(close(ends[0][1]));
	if (fd == ends[1][0])
		must(close(ends[1][1]));
	while (read(fd, &byte, 1) < 0)
		;
	if (fd == ends[0][0])
		_exit(23);
	kill(getpid(), SIGUSR1);
	_exit(1);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) {
		must(pipe(ends[i]));
		children[i] = must(fork());
		if (children[i] == 0)
			be_child(ends[i][0]);
	}
	for (long i = 0; i < 2; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(2);
	for (int i = 0; i < 2; i++)
		must_be(write(ends[i][1], "x", 1) == 1);
	for (int i = 0; i < 2; i++)
		join_thread(threads[i]);
	pass();
}
