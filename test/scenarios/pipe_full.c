// SPDX-License-Identifier: GPL-2.0-only
// A non-blocking pipe filled to its capacity: not a byte more fits, all come back.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe2(ends, O_NONBLOCK));
	char block[PAGE], got[PAGE];
	int blocks = 0;
	for (;; blocks++) {
		fill(block, PAGE, blocks);
		if (write(ends[1], block, PAGE) != (long)PAGE)
			break;
	}
	expect("blocks before", 16, blocks);
	ready();
	wait_for_trigger();
	expect("write into a full pipe", -1, write(ends[1], "x", 1));
	expect("its errno", EAGAIN, errno);
	for (int i = 0; i < blocks; i++) {
		must_be(read(ends[0], got, PAGE) == (long)PAGE);
		expect_fill("block", got, PAGE, i);
	}
	expect("read from the empty pipe", -1, read(ends[0], got, 1));
	expect("its errno", EAGAIN, errno);
	pass();
}
