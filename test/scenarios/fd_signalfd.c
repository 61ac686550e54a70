// SPDX-License-Identifier: GPL-2.0-only
// Two signalfds of different masks and flags, one of them shared with a child, tell each task its own signals.
#include "tree.h"
#include <sys/signalfd.h>

static int wide, narrow;

static int next(int fd)
{
	struct signalfd_siginfo info;
	return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

static void run(void *arg)
{
	(void)arg;
	must(raise(SIGUSR2));
	arrive_and_wait();
	expect("the child's signal", SIGUSR2, next(wide));
	expect("no second signal", 0, next(wide));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	struct sigaction action = { .sa_flags = SA_NOCLDSTOP };
	must(sigaction(SIGCHLD, &action, NULL));
	sigset_t set;
	sigfillset(&set);
	sigdelset(&set, SIGTERM);
	sigdelset(&set, SIGCONT);
	sigdelset(&set, SIGUSR1);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	wide = must(signalfd(-1, &set, SFD_NONBLOCK));
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGRTMAX);
	narrow = must(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
	pid_t child = start_child(run, NULL);
	must(raise(SIGHUP));
	must(raise(SIGRTMAX));
	must(raise(SIGWINCH));
	ready();
	wait_for_trigger();
	expect("first signal", SIGHUP, next(narrow));
	expect("second signal", SIGRTMAX, next(narrow));
	expect("no third one", 0, next(narrow));
	expect("the other signal", SIGWINCH, next(wide));
	expect("close-on-exec", FD_CLOEXEC, fcntl(narrow, F_GETFD));
	check_child(child);
	expect("the child's end", SIGCHLD, next(wide));
	pass();
}
