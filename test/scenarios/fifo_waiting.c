// SPDX-License-Identifier: GPL-2.0-only
// Readers of named pipes: one to which nobody has written yet isn't hung up, one whose writer has left is; both serve the
// next writer, and a writer alone gets EPIPE. O_ASYNC and the owner of its signals stay.
// @skip-peer the original's readers are hung up at once, whether or not a writer had come
#include "scenario.h"
#include <poll.h>

static volatile sig_atomic_t signals;

static void on_io(int sig)
{
	(void)sig;
	signals++;
}

static int events(int fd)
{
	struct pollfd on = { fd, POLLIN, 0 };
	must(poll(&on, 1, 0));
	return on.revents;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction action = { .sa_handler = on_io, .sa_flags = SA_RESTART };
	must(sigaction(SIGUSR2, &action, NULL));
	must(mkfifo("fresh", 0600));
	must(mkfifo("left", 0600));
	must(mkfifo("alone", 0600));
	int fresh = must(open("fresh", O_RDONLY | O_NONBLOCK));
	int left = must(open("left", O_RDONLY | O_NONBLOCK));
	must(close(must(open("left", O_WRONLY))));
	int reader = must(open("alone", O_RDONLY | O_NONBLOCK));
	int alone = must(open("alone", O_WRONLY));
	must(close(reader));
	must(fcntl(fresh, F_SETSIG, SIGUSR2));
	must(fcntl(fresh, F_SETOWN, getpid()));
	must(fcntl(fresh, F_SETFL, O_NONBLOCK | O_ASYNC));
	expect("events of the fresh one", 0, events(fresh));
	ready();
	wait_for_trigger();
	expect("events of the fresh one, restored", 0, events(fresh));
	expect("events of the one that was left", POLLHUP, events(left));
	signal(SIGPIPE, SIG_IGN);
	expect("write without a reader", -1, write(alone, "x", 1));
	expect("its errno", EPIPE, errno);
	int was = signals;
	int writer = must(open("fresh", O_WRONLY));
	must_be(write(writer, "first", 5) == 5);
	expect("signals of the first data", was + 1, signals);
	expect("events of it", POLLIN, events(fresh));
	char text[16];
	must_be(read(fresh, text, 16) == 5);
	must(close(writer));
	expect("events when the writer has gone", POLLHUP, events(fresh));
	writer = must(open("left", O_WRONLY));
	must_be(write(writer, "next", 4) == 4 && read(left, text, 16) == 4);
	pass();
}
