// SPDX-License-Identifier: GPL-2.0-only
// Choices that are the same in each run, for programs that do what they do at random. Set `dice` to a seed, which is never 0.
#ifndef RANDOM_H
#define RANDOM_H
#include <stdint.h>

#define DICE_SEED(number) (0x9e3779b97f4a7c15ULL * (number))

static uint64_t dice;

// One of 0, 1, … below - 1.
static unsigned roll(unsigned below)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (dice >> 16) % below;
}
#endif
