// SPDX-License-Identifier: GPL-2.0-only
// @memory
// 64 MiB of incompressible data, every page touched, come back to the byte.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	size_t size = 64 << 20;
	uint64_t *at = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	uint64_t x = 88172645463325252ULL, sum = 0;
	for (size_t i = 0; i < size / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at[i] = x;
		sum = (sum << 5 | sum >> 59) + x;
	}
	ready();
	wait_for_trigger();
	uint64_t now = 0;
	for (size_t i = 0; i < size / 8; i++)
		now = (now << 5 | now >> 59) + at[i];
	expect("checksum", sum, now);
	pass();
}
