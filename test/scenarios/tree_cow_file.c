// SPDX-License-Identifier: GPL-2.0-only
// Pages of a private file mapping that the parent wrote before the fork and nobody since stay shared with the child; those
// that the child wrote are its own; unwritten ones show the file.
#include "pages.h"

enum { PAGES = 600 };
static char *map;

static char wanted(int i, int is_child)
{
	return i < 300 ? (is_child && i % 10 == 0 ? 'c' : 'p') : is_child && i >= 550 ? 'c' : 'f';
}

static void check(int is_child)
{
	for (int i = 0; i < PAGES; i++)
		expect("byte", wanted(i, is_child), map[i * PAGE + 7]);
}

static void run(void *arg)
{
	(void)arg;
	for (int i = 0; i < PAGES; i++)
		if (wanted(i, 1) == 'c')
			map[i * PAGE + 7] = 'c';
	arrive_and_wait();
	check(1);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT, 0600));
	char page[PAGE];
	memset(page, 'f', PAGE);
	for (int i = 0; i < PAGES; i++)
		must_be(write(fd, page, PAGE) == (ssize_t)PAGE);
	map = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	close(fd);
	for (int i = 0; i < 300; i++)
		map[i * PAGE + 7] = 'p';
	pid_t child = start_child(run, NULL);
	struct frames before = { 0 }, after = { 0 };
	add_frames(&before, getpid(), map, 300);
	add_frames(&before, child, map, 300);
	expect("different pages before", 330, count_frames(&before));
	ready();
	wait_for_trigger();
	add_frames(&after, getpid(), map, 300);
	add_frames(&after, child, map, 300);
	expect_still_shared(330, count_frames(&after));
	check(0);
	check_child(child);
	check(0);
	pass();
}
