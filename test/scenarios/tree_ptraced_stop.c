// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a child that its parent traces (PTRACE_TRACEME) and that sits in a signal-delivery stop, looked at
// with WNOWAIT only; the stop, its siginfo and the sender's zombie are still there after.
// @expect refused TRACED
#include "tree.h"
#include <sys/ptrace.h>

static volatile pid_t *sender_seen;
static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	*sender_seen = info->si_pid;
}

static void target(void *arg)
{
	(void)arg;
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	must(sigaction(SIGUSR2, &action, NULL));
	must(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	arrive();
	while (!*sender_seen)
		pause();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	sender_seen = shared_memory(PAGE);
	pid_t child = start_child(target, NULL), sender = must(fork());
	if (sender == 0)
		_exit(kill(child, SIGUSR2) < 0);
	await_zombie(sender);
	siginfo_t info;
	must(waitid(P_PID, child, &info, WSTOPPED | WNOWAIT));
	ready();
	wait_for_trigger();
	int status;
	expect("stopped child", child, waitpid(child, &status, 0));
	must_be(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR2);
	must(ptrace(PTRACE_GETSIGINFO, child, NULL, &info));
	expect("sender", sender, info.si_pid);
	must(ptrace(PTRACE_CONT, child, NULL, SIGUSR2));
	expect_exit(child, 0);
	expect("sender that the handler saw", sender, *sender_seen);
	expect_exit(sender, 0);
	pass();
}
