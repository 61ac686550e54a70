// SPDX-License-Identifier: GPL-2.0-only
// memory MIB: one private anonymous mapping, all of it filled with data that can't be compressed.
#include "target.h"
#include <sys/mman.h>

#define PAGE_WORDS 512

static uint64_t *memory;
static size_t pages;

// One word of each page, at another place in each: finds pages that are lost, zero or at a wrong address.
static int check(void)
{
	for (size_t page = 0; page < pages; page++) {
		size_t place = page * PAGE_WORDS + noise(~page) % PAGE_WORDS;
		if (memory[place] != noise(place))
			return 0;
	}
	return 1;
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 20;
	pages = bytes / 4096;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(memory != MAP_FAILED, "mmap");
	fill_noise(memory, bytes / sizeof(*memory), 0);
	tell_ready();
	wait_and_check(check);
}
