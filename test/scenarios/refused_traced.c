// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a process that a debugger outside of its tree traces, naming that debugger; it goes on unharmed.
// @expect refused TRACED
// @expect-text (refused_traced) is traced by pid
// @expect-text debugger-name
#include "scenario.h"
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

// Traces the program from outside of its tree; hands its signals on; lets go when it ends.
static void trace(pid_t pid, int fd)
{
	must(setsid());
	must(prctl(PR_SET_NAME, "debugger-name"));
	must(ptrace(PTRACE_SEIZE, pid, 0, 0));
	must_be(write(fd, "x", 1) == 1);
	close(fd);
	for (int status; waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);)
		ptrace(PTRACE_CONT, pid, 0, status >> 16 ? 0 : WSTOPSIG(status));
	_exit(0);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	pid_t me = getpid();
	must(pipe(ends));
	pid_t child = must(fork());
	if (child == 0) {
		if (must(fork()) == 0)
			trace(me, ends[1]);
		_exit(0);
	}
	must_be(waitpid(child, NULL, 0) == child);
	char byte;
	must_be(read(ends[0], &byte, 1) == 1);
	must(close(ends[0]));
	must(close(ends[1]));
	ready();
	wait_for_trigger();
	pass();
}
