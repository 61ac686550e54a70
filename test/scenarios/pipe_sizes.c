// SPDX-License-Identifier: GPL-2.0-only
// Pipes of other capacities: one page, 1 MiB full of data, 256 KiB empty.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const int sizes[] = { 4096, 1 << 20, 1 << 18 };
	int ends[3][2];
	for (int i = 0; i < 3; i++) {
		must(pipe2(ends[i], O_NONBLOCK));
		expect("size set", sizes[i], fcntl(ends[i][i % 2], F_SETPIPE_SZ, sizes[i]));
	}
	must_be(write(ends[0][1], "one page", 8) == 8);
	char *data = malloc(1 << 20), *got = malloc(1 << 20);
	fill(data, 1 << 20, 17);
	must_be(write(ends[1][1], data, 1 << 20) == 1 << 20);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++)
		expect("capacity", sizes[i], fcntl(ends[i][0], F_GETPIPE_SZ));
	must_be(read(ends[0][0], got, 100) == 8);
	size_t n = 0;
	ssize_t one;
	while (n < 1 << 20 && (one = read(ends[1][0], got + n, (1 << 20) - n)) > 0)
		n += one;
	expect("bytes in the large pipe", 1 << 20, n);
	expect_bytes("data of the large pipe", data, got, n);
	expect("empty pipe", -1, read(ends[2][0], got, 1));
	pass();
}
