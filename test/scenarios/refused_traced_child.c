// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a tree in which a process traces both threads of its child; the child is traced on, unharmed.
// @cflags -pthread
// @expect refused TRACED
// @expect-text (refused_traced_) is traced by pid
#include "threads.h"
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static int tids[2], done[2];

static void *run(void *arg)
{
	arrive();
	for (;;)
		pause();
	return arg;
}

static void be_child(void)
{
	must(close(tids[0]));
	must(close(done[1]));
	must(prctl(PR_SET_PDEATHSIG, SIGKILL));
	start_thread(run, NULL);
	wait_for_value(&arrived_count, 1);
	must_be(write(tids[1], "x", 1) == 1);
	char byte;
	while (read(done[0], &byte, 1) < 0)
		;
	_exit(44);
}

static int other_thread(pid_t pid)
{
	for (int tid = pid + 1; tid < pid + 100; tid++)
		if (syscall(SYS_tgkill, pid, tid, 0) == 0)
			return tid;
	fail("no second thread of the child");
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(pipe(tids));
	must(pipe(done));
	pid_t pid = must(fork());
	if (pid == 0)
		be_child();
	char byte;
	must_be(read(tids[0], &byte, 1) == 1);
	pid_t traced[2] = { pid, other_thread(pid) };
	int status;
	for (int i = 0; i < 2; i++) {
		must(ptrace(PTRACE_SEIZE, traced[i], 0, 0));
		must(ptrace(PTRACE_INTERRUPT, traced[i], 0, 0));
		must_be(waitpid(traced[i], &status, __WALL) == traced[i]);
		must_be(WIFSTOPPED(status));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++) {
		siginfo_t info;
		must(ptrace(PTRACE_GETSIGINFO, traced[i], 0, &info));
		must(ptrace(PTRACE_DETACH, traced[i], 0, 0));
	}
	must(close(done[1]));
	must_be(waitpid(pid, &status, 0) == pid);
	must_be(WIFEXITED(status) && WEXITSTATUS(status) == 44);
	pass();
}
