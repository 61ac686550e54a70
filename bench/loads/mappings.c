// SPDX-License-Identifier: GPL-2.0-only
// mappings COUNT: that many mappings of one touched page each, side by side, with two protections in turn.
#include "target.h"
#include <inttypes.h>
#include <sys/mman.h>

#define PAGE 4096

static unsigned char *range;
static size_t count, mappings_before;

static uint64_t *page_at(size_t i)
{
	return (uint64_t *)(range + i * PAGE);
}

// Mappings of ours as /proc/self/maps has them, with the protection that they should have.
static size_t count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	need(maps != NULL, "/proc/self/maps");
	static char line[4096];
	size_t found = 0;
	while (fgets(line, sizeof(line), maps)) {
		uint64_t from;
		char rights[5];
		if (sscanf(line, "%" SCNx64 "-%*x %4s", &from, rights) != 2)
			continue;
		uint64_t offset = from - (uint64_t)(uintptr_t)range;
		if (offset < count * PAGE)
			found += !strcmp(rights, offset / PAGE % 2 ? "r--p" : "rw-p");
	}
	fclose(maps);
	return found;
}

static int check(void)
{
	for (size_t i = 0; i < count; i++) {
		if (*page_at(i) != noise(i))
			return 0;
	}
	return count_mappings() == mappings_before;
}

int main(int argc, char **argv)
{
	count = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
	range = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(range != MAP_FAILED, "mmap");
	for (size_t i = 0; i < count; i++)
		*page_at(i) = noise(i);
	for (size_t i = 1; i < count; i += 2)
		need(mprotect(page_at(i), PAGE, PROT_READ) == 0, "mprotect");
	mappings_before = count_mappings();
	// The last mapping may have grown together with a neighbour of the same kind.
	need(mappings_before + 1 >= count, "mappings");
	tell_ready();
	wait_and_check(check);
}
