// SPDX-License-Identifier: GPL-2.0-only
// A non-blocking signalfd for SIGUSR1 alone keeps its mask, and a signal pending for it.
// @trigger file
#include "scenario.h"
#include <sys/signalfd.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t both, one;
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	both = one;
	sigaddset(&both, SIGUSR2);
	must(sigprocmask(SIG_BLOCK, &both, NULL));
	int fd = must(signalfd(-1, &one, SFD_NONBLOCK));
	must(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 808 }));
	ready();
	wait_for_file();
	struct signalfd_siginfo got;
	must_be(read(fd, &got, sizeof(got)) == sizeof(got));
	expect("signal", SIGUSR1, got.ssi_signo);
	expect("code", SI_QUEUE, got.ssi_code);
	expect("value", 808, got.ssi_int);
	must(kill(getpid(), SIGUSR2));
	expect("read with another signal pending", -1, read(fd, &got, sizeof(got)));
	expect("errno", EAGAIN, errno);
	must(kill(getpid(), SIGUSR1));
	must_be(read(fd, &got, sizeof(got)) == sizeof(got));
	expect("second signal", SIGUSR1, got.ssi_signo);
	expect("sender", getpid(), got.ssi_pid);
	pass();
}
