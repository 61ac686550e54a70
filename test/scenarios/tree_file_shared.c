// SPDX-License-Identifier: GPL-2.0-only
// A file mapped shared by parent and children, each in its own way (all, a part, read-only): writes
// reach all of them and the file.
#include "tree.h"

enum { PAGES = 16 };
static char *map;

static void part(void *arg)
{
	(void)arg;
	must(munmap(map, PAGES * PAGE));
	int fd = must(open("file", O_RDWR));
	char *own = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8 * PAGE));
	close(fd);
	arrive_and_wait();
	expect("byte of the root", 'r', own[0]);
	own[PAGE] = 'c';
}

static void reader(void *arg)
{
	(void)arg;
	must(mprotect(map, PAGES * PAGE, PROT_READ));
	arrive_and_wait();
	expect("byte of the root", 'r', map[8 * PAGE]);
	expect("byte of the other child", 'c', map[9 * PAGE]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT, 0600));
	must(ftruncate(fd, PAGES * PAGE));
	map = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	pid_t children[2] = { start_child(part, NULL), start_child(reader, NULL) };
	ready();
	wait_for_trigger();
	map[8 * PAGE] = 'r';
	check_child(children[0]);
	check_child(children[1]);
	char byte;
	must_be(pread(fd, &byte, 1, 9 * PAGE) == 1);
	expect("byte in the file", 'c', byte);
	pass();
}
