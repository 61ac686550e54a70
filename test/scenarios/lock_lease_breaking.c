// SPDX-License-Identifier: GPL-2.0-only
// Leases that are being broken keep what is to become of them; the restore itself sends no signal.
// @options --file-locks
// @skip-peer the peer sends the signals once more
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

static int broken(const char *name, int flags, int type, int breaker)
{
	int fd = lease(name, flags, type), before = signals;
	expect("open of what is leased", -1, open(name, breaker | O_NONBLOCK));
	expect("its error", EWOULDBLOCK, errno);
	expect("signals", before + 1, signals);
	expect("descriptor of the signal", fd, last_fd);
	return fd;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction action = { .sa_sigaction = on_io, .sa_flags = SA_SIGINFO | SA_RESTART };
	must(sigaction(SIGIO, &action, NULL));
	int first = broken("first", O_RDONLY, F_RDLCK, O_WRONLY);
	int second = broken("second", O_RDWR, F_WRLCK, O_RDONLY);
	int third = broken("third", O_WRONLY, F_WRLCK, O_WRONLY);
	int before = signals;
	ready();
	wait_for_trigger();
	expect("signals", before, signals);
	expect("first broken lease", F_UNLCK, fcntl(first, F_GETLEASE));
	expect("second broken lease", F_RDLCK, fcntl(second, F_GETLEASE));
	expect("third broken lease", F_UNLCK, fcntl(third, F_GETLEASE));
	must(fcntl(second, F_SETLEASE, F_UNLCK));
	must(open("second", O_RDONLY | O_NONBLOCK));
	pass();
}
