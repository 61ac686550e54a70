// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a signalfd, and the program goes on unharmed.
// @expect refused SIGNALFD
#include "scenario.h"
#include <sys/signalfd.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	int fd = must(signalfd(-1, &set, SFD_NONBLOCK));
	must(raise(SIGUSR1));
	ready();
	wait_for_trigger();
	struct signalfd_siginfo info;
	must_be(read(fd, &info, sizeof(info)) == sizeof(info));
	expect("signal", SIGUSR1, info.ssi_signo);
	pass();
}
