// SPDX-License-Identifier: GPL-2.0-only
// A pipe with both ends O_ASYNC, their owner set under another effective user: a child makes itself the write end's owner,
// writes, and the parent gets its SIGIO.
// @peer-may-differ s?maps/.* the original joins neighbouring mappings where processes are related
#include "scenario.h"
#include <sys/wait.h>

static volatile int signals;
static void on_io(int sig)
{
	(void)sig;
	signals++;
}

static void expect_end(int fd, int flags, pid_t owner)
{
	expect("flags", flags, fcntl(fd, F_GETFL) & ~0100000);
	expect("owner", owner, fcntl(fd, F_GETOWN));
	expect("signal", SIGIO, fcntl(fd, F_GETSIG));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_handler = on_io, .sa_flags = SA_RESTART };
	must(sigaction(SIGIO, &act, NULL));
	int ends[2], go[2];
	must(pipe(ends));
	must(pipe(go));
	must(seteuid(1));
	for (int i = 0; i < 2; i++) {
		must(fcntl(ends[i], F_SETOWN, getpid()));
		must(fcntl(ends[i], F_SETSIG, SIGIO));
		must(fcntl(ends[i], F_SETFL, O_ASYNC | (i ? 0 : O_NONBLOCK)));
	}
	must(seteuid(0));
	pid_t child = must(fork());
	if (child == 0) {
		char byte;
		must(close(go[1]));
		while (read(go[0], &byte, 1) < 0)
			;
		expect_end(ends[0], O_RDONLY | O_ASYNC | O_NONBLOCK, getppid());
		expect_end(ends[1], O_WRONLY | O_ASYNC, getppid());
		must(fcntl(ends[1], F_SETOWN, getpid()));
		must_be(write(ends[1], "x", 1) == 1);
		expect_end(ends[1], O_WRONLY | O_ASYNC, getpid());
		_exit(0);
	}
	ready();
	wait_for_trigger();
	expect("signals so far", 0, signals);
	must_be(write(go[1], "x", 1) == 1);
	int status;
	must_be(waitpid(child, &status, 0) == child);
	expect("the child's ending", 0, status);
	must_be(signals > 0);
	expect("flags", O_WRONLY | O_ASYNC, fcntl(ends[1], F_GETFL) & ~0100000);
	pass();
}
