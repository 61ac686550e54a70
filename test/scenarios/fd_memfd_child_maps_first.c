// SPDX-License-Identifier: GPL-2.0-only
// A memfd that the root has open and only its grandchild maps, with holes between a little data in 256 MiB.
#include "tree.h"

#define SIZE (256UL << 20)
static int fd;

static void grandchild(void *arg)
{
	(void)arg;
	char *map = must(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
	strcpy(map + SIZE - PAGE, "at the end");
	arrive_and_wait();
	expect_text("start", "at the start", map);
	expect_text("end", "at the end", map + SIZE - PAGE);
	expect("middle", 0, map[SIZE / 2]);
	strcpy(map + SIZE / 2, "in the middle");
}

static void child(void *arg)
{
	pid_t pid = start_child(grandchild, arg);
	close(fd);
	arrive_and_wait();
	check_child(pid);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	fd = must(memfd_create("sparse", 0));
	must(ftruncate(fd, SIZE));
	must_be(pwrite(fd, "at the start", 13, 0) == 13);
	pid_t pid = start_child(child, NULL);
	ready();
	wait_for_trigger();
	check_child(pid);
	char got[14];
	must_be(pread(fd, got, 14, SIZE / 2) == 14);
	expect_text("what the grandchild wrote", "in the middle", got);
	struct stat st;
	must(fstat(fd, &st));
	must_be(st.st_blocks <= 64);
	pass();
}
