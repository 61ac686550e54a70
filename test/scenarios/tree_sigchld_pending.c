// SPDX-License-Identifier: GPL-2.0-only
// A blocked SIGCHLD that is pending, with what it tells of the zombie: one signal, delivered once.
#include "tree.h"

static volatile int signals, pid_told, status_told;
static void on_child(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	signals++;
	pid_told = info->si_pid;
	status_told = info->si_code * 1000 + info->si_status;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO };
	must(sigaction(SIGCHLD, &action, NULL));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	pid_t zombie = must(fork());
	if (zombie == 0)
		_exit(44);
	await_zombie(zombie);
	ready();
	wait_for_trigger();
	sigset_t pending;
	must(sigpending(&pending));
	must_be(sigismember(&pending, SIGCHLD));
	expect("signals while blocked", 0, signals);
	must(sigprocmask(SIG_UNBLOCK, &set, NULL));
	expect("signals", 1, signals);
	expect("si_pid", zombie, pid_told);
	expect("si_code and si_status", CLD_EXITED * 1000 + 44, status_told);
	expect_exit(zombie, 44);
	pass();
}
