// SPDX-License-Identifier: GPL-2.0-only
// The owner and the signal of a descriptor (F_SETOWN, F_SETSIG) on both ends of a pipe and on a file.
#include "scenario.h"

static volatile int signals;
static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	must(sigaction(SIGRTMIN + 2, &act, NULL));
	int ends[2];
	must(pipe(ends));
	must(fcntl(ends[0], F_SETOWN, getpid()));
	must(fcntl(ends[0], F_SETSIG, SIGRTMIN + 2));
	must(fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	must(fcntl(ends[1], F_SETOWN, -getpgrp()));
	int file = must(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
	must(fcntl(file, F_SETOWN, getpid()));
	must(fcntl(file, F_SETSIG, SIGUSR1));
	ready();
	wait_for_trigger();
	struct f_owner_ex owner;
	must(fcntl(ends[1], F_GETOWN_EX, &owner));
	expect("owner type of the write end", F_OWNER_PGRP, owner.type);
	expect("owner of the write end", getpgrp(), owner.pid);
	expect("owner of the read end", getpid(), fcntl(ends[0], F_GETOWN));
	expect("signal of the read end", SIGRTMIN + 2, fcntl(ends[0], F_GETSIG));
	expect("owner of the file", getpid(), fcntl(file, F_GETOWN));
	expect("signal of the file", SIGUSR1, fcntl(file, F_GETSIG));
	expect("flags", O_ASYNC | O_NONBLOCK, fcntl(ends[0], F_GETFL) & (O_ASYNC | O_NONBLOCK));
	must_be(write(ends[1], "x", 1) == 1);
	expect("signals", 1, signals);
	pass();
}
