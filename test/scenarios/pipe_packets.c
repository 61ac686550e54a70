// SPDX-License-Identifier: GPL-2.0-only
// A pipe in packet mode (O_DIRECT) keeps the boundaries of its packets.
// @skip-peer the original restores the bytes but merges packets
// @expect refused PIPE_PACKETS
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe2(ends, O_DIRECT));
	for (int i = 1; i <= 5; i++)
		must_be(write(ends[1], "packet", i) == i);
	ready();
	wait_for_trigger();
	char text[64];
	for (int i = 1; i <= 5; i++)
		expect("size of the packet", i, read(ends[0], text, sizeof(text)));
	pass();
}
