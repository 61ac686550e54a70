// SPDX-License-Identifier: GPL-2.0-only
// The program of maps_random*.c: mappings of all kinds made, cut, moved, protected and given advice at random (by a fixed seed),
// by a process and the children that it forks in between. Everyone's every page holds what it did, and what /proc tells is compared.
#include "tree.h"
#include "random.h"
#include <stdbool.h>

enum { AREAS = 60, MAX_PAGES = 40, STEPS = 400, CHILDREN = 3, FILE_PAGES = 64 };

// Addresses of this program's own: nobody else maps there.
#define BASE ((char *)0x100000000000)
#define SLOT ((size_t)128 * PAGE)

static struct area {
	char *at;
	size_t pages;
	bool shared, foreign; // foreign: shared with the process that made it
	int prot;
	uint32_t sums[MAX_PAGES];
} areas[AREAS];
static int file;

// Of a page.
static uint32_t sum_of(const char *page)
{
	uint32_t sum = 1;
	for (size_t i = 0; i < PAGE; i += 4)
		sum = sum * 31 + *(const uint32_t *)(page + i);
	return sum;
}

// What all pages hold now; those that can't be read are opened for the look.
static void note(struct area *area)
{
	for (size_t i = 0; i < area->pages; i++) {
		char *page = area->at + i * PAGE;
		if (!(area->prot & PROT_READ))
			must(mprotect(page, PAGE, PROT_READ));
		area->sums[i] = sum_of(page);
		if (!(area->prot & PROT_READ))
			must(mprotect(page, PAGE, area->prot));
	}
}

static void write_some(struct area *area)
{
	if (!(area->prot & PROT_WRITE))
		return;
	for (unsigned n = roll(area->pages) + 1; n > 0; n--) {
		unsigned page = roll(area->pages);
		fill(area->at + page * PAGE + roll(200) * 8, 256 + roll(2000), dice);
	}
	note(area);
}

static void map_one(struct area *area, int slot)
{
	static const int flags[] = {
		MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
	};
	int flag = flags[roll(6)];
	*area = (struct area){ .at = BASE + slot * SLOT, .pages = 1 + roll(MAX_PAGES - 1), .shared = flag & MAP_SHARED };
	area->prot = PROT_READ | PROT_WRITE;
	bool anonymous = flag & MAP_ANONYMOUS;
	off_t offset = anonymous ? 0 : roll(FILE_PAGES - MAX_PAGES) * PAGE;
	must(mmap(area->at, area->pages * PAGE, area->prot, flag | MAP_FIXED_NOREPLACE, anonymous ? -1 : file, offset));
	// A shared mapping of the file shows what others write into it.
	if (area->shared && !anonymous) {
		must(mprotect(area->at, area->pages * PAGE, PROT_READ));
		area->prot = PROT_READ;
	}
	write_some(area);
	note(area);
}

static void cut(struct area *area)
{
	if (area->pages < 3)
		return;
	if (roll(2)) {
		area->pages--;
		must(munmap(area->at + area->pages * PAGE, PAGE));
		return;
	}
	must(munmap(area->at, PAGE));
	area->at += PAGE;
	area->pages--;
	memmove(area->sums, area->sums + 1, area->pages * sizeof(area->sums[0]));
}

// Within its slot, behind itself. Kernels before 6.17 refuse where it consists of several mappings.
static void move(struct area *area, int slot)
{
	char *to = BASE + slot * SLOT + (SLOT / 2);
	if (area->at >= to)
		to = BASE + slot * SLOT;
	void *at = mremap(area->at, area->pages * PAGE, area->pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (at == MAP_FAILED && errno == EFAULT)
		return;
	must_be(at == to);
	area->at = to;
}

static void protect(struct area *area)
{
	static const int prots[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ | PROT_EXEC };
	int prot = prots[roll(4)];
	if (area->shared && (prot & PROT_WRITE))
		return;
	area->prot = prot;
	must(mprotect(area->at, area->pages * PAGE, prot));
}

// Of parts: a mapping that has advice of its own for some pages is several.
static void advise(struct area *area)
{
	static const int advices[] = { MADV_RANDOM, MADV_SEQUENTIAL, MADV_NORMAL, MADV_DONTDUMP, MADV_DODUMP, MADV_NOHUGEPAGE, MADV_MERGEABLE };
	size_t from = roll(area->pages), pages = 1 + roll(area->pages - from);
	if (madvise(area->at + from * PAGE, pages * PAGE, advices[roll(7)]) < 0)
		must_be(errno == EINVAL);
}

static void forget(struct area *area)
{
	size_t from = roll(area->pages);
	must(madvise(area->at + from * PAGE, PAGE, MADV_DONTNEED));
	note(area);
}

static void step(void)
{
	int slot = roll(AREAS);
	struct area *area = &areas[slot];
	unsigned what = roll(20);
	if (area->foreign)
		return;
	if (area->at == NULL)
		return map_one(area, slot);
	if (what < 6)
		write_some(area);
	else if (what < 8)
		cut(area);
	else if (what < 10)
		move(area, slot);
	else if (what < 13)
		protect(area);
	else if (what < 16)
		advise(area);
	else if (what < 18)
		forget(area);
	else if (what < 19) {
		must(munmap(area->at, area->pages * PAGE));
		area->at = NULL;
	}
}

static void check_all(const char *who)
{
	for (int slot = 0; slot < AREAS; slot++) {
		struct area *area = &areas[slot];
		if (area->at == NULL || area->foreign)
			continue;
		if (!(area->prot & PROT_READ))
			must(mprotect(area->at, area->pages * PAGE, PROT_READ));
		for (size_t i = 0; i < area->pages; i++)
			if (sum_of(area->at + i * PAGE) != area->sums[i])
				fail("%s: page %zu of area %d at %p, wanted other content", who, i, slot, area->at);
	}
}

static void live(void *number)
{
	for (int i = 0; i < AREAS; i++)
		areas[i].foreign = areas[i].shared && areas[i].at != NULL;
	dice += 1 + (long)number;
	for (int i = 0; i < STEPS / 8; i++)
		step();
	arrive_and_wait();
	check_all("a child");
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	dice = DICE_SEED(SEED + 1);
	file = must(open("file", O_RDWR | O_CREAT, 0600));
	char block[PAGE];
	for (int i = 0; i < FILE_PAGES; i++) {
		fill(block, PAGE, i);
		must_be(write(file, block, PAGE) == (ssize_t)PAGE);
	}
	pid_t children[CHILDREN];
	for (int i = 0; i < STEPS; i++) {
		step();
		if (i % (STEPS / CHILDREN) == STEPS / CHILDREN - 2)
			children[i / (STEPS / CHILDREN)] = start_child(live, (void *)(long)i);
	}
	ready();
	wait_for_trigger();
	check_all("the root");
	for (int i = 0; i < CHILDREN; i++)
		check_child(children[i]);
	pass();
}
