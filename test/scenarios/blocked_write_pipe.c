// SPDX-License-Identifier: GPL-2.0-only
// A write into a full pipe that has stored a part of its data already goes on where it was.
#include "scenario.h"

static int ends[2];
static char got[300000];
static size_t have;
static void on_trigger(int sig)
{
	(void)sig;
	scenario_triggered = 1;
	ssize_t n = read(ends[0], got + have, 65536);
	if (n <= 0)
		_exit(9);
	have += n;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(pipe(ends));
	struct sigaction act = { .sa_handler = on_trigger, .sa_flags = SA_RESTART };
	must(sigaction(SIGTERM, &act, NULL));
	static char data[100000];
	fill(data, sizeof(data), 3);
	ready();
	size_t done = 0;
	while (done < sizeof(data)) {
		ssize_t n = write(ends[1], data + done, sizeof(data) - done);
		if (n < 0)
			expect("errno of the write", EINTR, errno);
		else
			done += n;
	}
	must(fcntl(ends[0], F_SETFL, O_NONBLOCK));
	ssize_t n;
	while ((n = read(ends[0], got + have, sizeof(got) - have)) > 0)
		have += n;
	expect("bytes through the pipe", sizeof(data), have);
	expect_bytes("data through the pipe", data, got, sizeof(data));
	pass();
}
