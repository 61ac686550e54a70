// SPDX-License-Identifier: GPL-2.0-only
// Physical pages behind the mappings of processes, by /proc/PID/pagemap: how many different ones some ranges have in all.
#ifndef PAGES_H
#define PAGES_H
#include "tree.h"

struct frames { uint64_t *list; size_t count, room; };

static int compare_frames(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

// Adds the frames of a range that are in memory.
__attribute__((unused)) static void add_frames(struct frames *frames, pid_t pid, const void *at, size_t pages)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	uint64_t *entries = malloc(pages * 8);
	must_be(pread(fd, entries, pages * 8, (uintptr_t)at / PAGE * 8) == (ssize_t)(pages * 8));
	close(fd);
	for (size_t i = 0; i < pages; i++) {
		if (!(entries[i] >> 63))
			continue; // not in memory
		uint64_t frame = entries[i] & ((1ULL << 55) - 1);
		if (!frame)
			skip("no frame numbers in /proc/PID/pagemap");
		if (frames->count == frames->room)
			frames->list = realloc(frames->list, (frames->room = frames->room * 2 + 1024) * 8);
		frames->list[frames->count++] = frame;
	}
	free(entries);
}

// How many different frames there are.
__attribute__((unused)) static size_t count_frames(struct frames *frames)
{
	size_t different = 0;
	if (frames->count)
		qsort(frames->list, frames->count, 8, compare_frames);
	for (size_t i = 0; i < frames->count; i++)
		different += i == 0 || frames->list[i] != frames->list[i - 1];
	return different;
}

// At most five in a hundred more different pages than before, and no page of data lost.
__attribute__((unused)) static void expect_still_shared(size_t before, size_t now)
{
	if (now > before + before / 20)
		fail("different physical pages, wanted at most %zu and five in a hundred more, got %zu", before, now);
}
#endif
