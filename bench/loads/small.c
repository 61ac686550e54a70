// SPDX-License-Identifier: GPL-2.0-only
// A small C process: libc, a stack, a heap of some KiB.
#include "target.h"

#define WORDS 1024

static uint64_t *heap;
static uint64_t data[WORDS];

static int check(void)
{
	for (size_t i = 0; i < WORDS; i++) {
		if (heap[i] != noise(i) || data[i] != noise(WORDS + i))
			return 0;
	}
	return 1;
}

int main(void)
{
	heap = malloc(WORDS * sizeof(*heap));
	need(heap != NULL, "malloc");
	fill_noise(heap, WORDS, 0);
	fill_noise(data, WORDS, WORDS);
	tell_ready();
	wait_and_check(check);
}
