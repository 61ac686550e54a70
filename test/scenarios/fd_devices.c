// SPDX-License-Identifier: GPL-2.0-only
// Character devices: null, zero, full, urandom, random.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int null = must(open("/dev/null", O_WRONLY)), zero = must(open("/dev/zero", O_RDWR | O_CLOEXEC));
	int full = must(open("/dev/full", O_RDWR)), urandom = must(open("/dev/urandom", O_RDONLY | O_NONBLOCK));
	char *map = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0));
	fill(map, 2 * PAGE, 14);
	ready();
	wait_for_trigger();
	char bytes[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, zeroes[16] = { 0 };
	must_be(write(null, bytes, 16) == 16);
	must_be(read(zero, bytes, 16) == 16);
	expect_bytes("zeroes", zeroes, bytes, 16);
	expect("write to full", -1, write(full, bytes, 1));
	expect("its errno", ENOSPC, errno);
	must_be(read(urandom, bytes, 16) == 16);
	must_be(memcmp(bytes, zeroes, 16) != 0);
	expect_fill("private mapping of zero", map, 2 * PAGE, 14);
	expect("rest of it", 0, map[3 * PAGE]);
	pass();
}
