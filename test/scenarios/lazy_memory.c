// SPDX-License-Identifier: GPL-2.0-only
// @memory
// @mapped
// Memory that is forked, moved, grown, swapped, given back and unmapped right after the trigger, by two threads and their
// children, perhaps while pages of it are still missing: every page is as it was, or zero where it was given back.
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

#define AREA (4UL << 20)
#define WORDS (PAGE / sizeof(uint64_t))

static char *area[6];

static uint64_t word(int seed, size_t page, size_t at)
{
	return (seed * 1000003UL + page) * 0x9e3779b97f4a7c15UL + at * 0x100000001b3UL + 1;
}

static void write_area(char *at, int seed)
{
	for (size_t page = 0; page < AREA / PAGE; page++)
		for (size_t i = 0; i < WORDS; i++)
			((uint64_t *)(at + page * PAGE))[i] = word(seed, page, i);
}

// Looks at pages in an order that goes up and down; a seed below 0 wants zeros.
static void check(const char *what, const char *at, int seed, size_t first, size_t pages)
{
	for (size_t n = 0; n < pages; n++) {
		size_t page = first + (n % 2 ? pages - 1 - n / 2 : n / 2);
		const uint64_t *data = (const uint64_t *)(at + (page - first) * PAGE);
		for (size_t i = 0; i < WORDS; i += i % 8 ? 1 : 61) {
			uint64_t wanted = seed < 0 ? 0 : word(seed, page, i);
			if (data[i] != wanted)
				fail("%s: word %zu of page %zu, wanted %#lx, got %#lx", what, i, page, wanted, data[i]);
		}
	}
}

static void *read_backwards(void *unused)
{
	for (size_t page = AREA / PAGE; page-- > 0;)
		check("read beside", area[5] + page * PAGE, 5, page, 1);
	return unused;
}

static void swap(char *a, char *b, char *over)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	must_be(mremap(a, AREA, AREA, flags, over) == over);
	must_be(mremap(b, AREA, AREA, flags, a) == a);
	must_be(mremap(over, AREA, AREA, flags, b) == b);
}

// The same in parent and child, each in its own copy.
static void rearrange(void)
{
	size_t pages = AREA / PAGE;
	must(madvise(area[1], AREA, MADV_DONTNEED));
	check("given back", area[1], -1, 0, pages);
	char *grown = must(mremap(area[2], AREA, 2 * AREA, MREMAP_MAYMOVE));
	check("beyond the old end", grown + AREA, -1, 0, 16);
	check("moved", grown + AREA / 2, 2, pages / 2, pages / 2);
	swap(area[3], area[4], area[0]);
	check("swapped", area[3], 4, 0, pages);
	check("swapped back", area[4], 3, 0, pages);
	check("moved later", grown, 2, 0, pages / 2);
	must(munmap(grown + AREA, AREA));
	must(mprotect(grown, AREA / 2, PROT_READ));
	check("protected", grown, 2, 0, pages);
}

static void wait_for(pid_t child, const char *who)
{
	int status;
	must_be(waitpid(child, &status, 0) == child);
	if (status != 0)
		fail("%s ended with status %#x", who, status);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	for (int i = 0; i < 6; i++) {
		area[i] = must(mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		must(madvise(area[i], AREA, MADV_NOHUGEPAGE));
		write_area(area[i], i);
	}
	ready();
	wait_for_trigger();
	check("first", area[0], 0, 0, 32);
	pthread_t thread;
	must_be(pthread_create(&thread, NULL, read_backwards, NULL) == 0);
	pid_t child = must(fork());
	if (child == 0) {
		// One that ends at once, with almost nothing of its memory there.
		pid_t short_lived = must(fork());
		if (short_lived == 0)
			_exit(((uint64_t *)area[4])[1] != word(4, 0, 1));
		rearrange();
		wait_for(short_lived, "the grandchild");
		_exit(0);
	}
	rearrange();
	must_be(pthread_join(thread, NULL) == 0);
	check("rest", area[5], 5, 0, AREA / PAGE);
	wait_for(child, "the child");
	pass();
}
