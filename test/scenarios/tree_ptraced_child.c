// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a child that another child traces, naming the tracer; all go on unharmed.
// @expect refused TRACED
// @expect-text the-tracer
#include "tree.h"
#include <sys/ptrace.h>

static void tracer(void *arg)
{
	pid_t target = *(pid_t *)arg;
	must(prctl(PR_SET_NAME, "the-tracer", 0, 0, 0));
	must(ptrace(PTRACE_SEIZE, target, NULL, NULL));
	arrive_and_wait();
	must(ptrace(PTRACE_INTERRUPT, target, NULL, NULL));
	int status;
	expect("stopped target", target, waitpid(target, &status, __WALL));
	must_be(WIFSTOPPED(status));
	must(ptrace(PTRACE_DETACH, target, NULL, NULL));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t target = start_sleeper(), child = start_child(tracer, &target);
	ready();
	wait_for_trigger();
	check_child(child);
	check_child(target);
	pass();
}
