// SPDX-License-Identifier: GPL-2.0-only
// A deleted file mapped shared by parent and child, with no descriptor left: it's one file after the restore as well.
#include "tree.h"

static char *map;

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect_text("content", "content", map + PAGE);
	expect("byte of the root", 'r', map[0]);
	map[2 * PAGE] = 'c';
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT, 0600));
	must(ftruncate(fd, 4 * PAGE));
	map = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
	must(unlink("file"));
	strcpy(map + PAGE, "content");
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	map[0] = 'r';
	check_child(child);
	expect("byte of the child", 'c', map[2 * PAGE]);
	expect("left in the folder", -1, access("file", F_OK));
	pass();
}
