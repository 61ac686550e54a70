// SPDX-License-Identifier: GPL-2.0-only
// @stream
// A pipe with both ends open and data in it: bytes, order, and end of file after the writer is closed.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	static char data[10000], got[10001];
	fill(data, sizeof(data), 33);
	for (int i = 0; i < 10; i++)
		must_be(write(ends[1], data + i * 1000, 1000) == 1000);
	must_be(read(ends[0], got, 500) == 500);
	ready();
	wait_for_trigger();
	must_be(write(ends[1], "more", 4) == 4);
	close(ends[1]);
	size_t n = 500;
	ssize_t one;
	while (n < sizeof(got) && (one = must(read(ends[0], got + n, sizeof(got) - n))) > 0)
		n += one;
	expect_bytes("data", data, got, sizeof(data));
	expect("first byte of the rest", 'm', got[10000]);
	expect("bytes after that", 3, read(ends[0], got, 100));
	expect("end of file", 0, read(ends[0], got, 100));
	pass();
}
