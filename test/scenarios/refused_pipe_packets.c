// SPDX-License-Identifier: GPL-2.0-only
// A pipe that holds packets behind a stream can't be told apart: refused, and nothing of it is consumed.
// @expect refused PIPE_PACKETS
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	must_be(write(ends[1], "stream", 6) == 6);
	must(fcntl(ends[1], F_SETFL, O_DIRECT));
	must_be(write(ends[1], "packet", 6) == 6);
	ready();
	wait_for_trigger();
	char text[16];
	expect("bytes of a read over the border", 12, read(ends[0], text, sizeof(text)));
	pass();
}
