// SPDX-License-Identifier: GPL-2.0-only
// One process with every kind of file that carries content, three times in different orders, so that what the restore of one kind
// needs for a while meets that of every other: buffers, mappings, descriptors.
// @may-differ fd/\d+/it_value it counts down
#include "everything.h"

#define ROUNDS 3

// Forwards, backwards, and in steps of five, which no order of the others has.
static int nth(int round, int i) { return round == 0 ? i : round == 1 ? KINDS - 1 - i : i * 5 % KINDS; }

static struct thing things[ROUNDS][KINDS];

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < KINDS; i++) {
			int k = nth(round, i);
			kinds[k].make(&things[round][k], 1 + round * KINDS + k);
		}
	ready();
	wait_for_trigger();
	for (int round = 0; round < ROUNDS; round++)
		for (int k = 0; k < KINDS; k++)
			kinds[k].check(&things[round][k], 1 + round * KINDS + k);
	pass();
}
