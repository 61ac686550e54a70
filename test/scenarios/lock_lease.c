// SPDX-License-Identifier: GPL-2.0-only
// Leases: a read and a write lease that nobody breaks; neither dump nor restore breaks them.
// @options --file-locks
#include "scenario.h"

static volatile sig_atomic_t signals, last_fd;

static void on_io(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	signals++;
	last_fd = info->si_fd;
}

static int lease(const char *name, int flags, int type)
{
	must(close(must(open(name, O_RDWR | O_CREAT, 0600))));
	int fd = must(open(name, flags));
	must(fcntl(fd, F_SETSIG, SIGIO));
	must(fcntl(fd, F_SETLEASE, type));
	return fd;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction action = { .sa_sigaction = on_io, .sa_flags = SA_SIGINFO | SA_RESTART };
	must(sigaction(SIGIO, &action, NULL));
	int reading = lease("reading", O_RDONLY, F_RDLCK), writing = lease("writing", O_WRONLY, F_WRLCK);
	ready();
	wait_for_trigger();
	expect("signals", 0, signals);
	expect("read lease", F_RDLCK, fcntl(reading, F_GETLEASE));
	expect("write lease", F_WRLCK, fcntl(writing, F_GETLEASE));
	expect("open of what is leased", -1, open("writing", O_RDONLY | O_NONBLOCK));
	expect("signals", 1, signals);
	expect("descriptor of the signal", writing, last_fd);
	pass();
}
