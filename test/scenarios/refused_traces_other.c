// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a process of which a thread traces a process outside of its tree, naming both; all go on unharmed.
// @cflags -pthread
// @expect refused TRACED
// @expect-text traced-name
// @expect-text refused_traces_
#include "threads.h"
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static volatile pid_t traced;

static void *trace(void *arg)
{
	must(ptrace(PTRACE_SEIZE, traced, 0, 0));
	arrive_and_wait();
	must(ptrace(PTRACE_INTERRUPT, traced, 0, 0));
	int status;
	must_be(waitpid(traced, &status, __WALL) == traced && WIFSTOPPED(status));
	must(ptrace(PTRACE_DETACH, traced, 0, 0));
	must(kill(traced, SIGKILL));
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	pid_t child = must(fork());
	if (child == 0) {
		pid_t other = must(fork());
		if (other == 0) {
			must(setsid());
			must(prctl(PR_SET_NAME, "traced-name"));
			pid_t own = getpid();
			must_be(write(ends[1], &own, sizeof(own)) == sizeof(own));
			close(ends[0]);
			close(ends[1]);
			for (;;)
				pause();
		}
		_exit(0);
	}
	must_be(waitpid(child, NULL, 0) == child);
	pid_t found;
	must_be(read(ends[0], &found, sizeof(found)) == sizeof(found));
	traced = found;
	must(close(ends[0]));
	must(close(ends[1]));
	pthread_t thread = start_thread(trace, NULL);
	checkpoint_threads(1);
	join_thread(thread);
	pass();
}
