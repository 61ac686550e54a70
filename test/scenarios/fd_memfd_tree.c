// SPDX-License-Identifier: GPL-2.0-only
// @stream
// One memfd stays one, whether a task has it open, opened anew, mapped, or both; positions are shared where they were.
#include "tree.h"

static int fd;
static char *map;

static void map_only(void *arg)
{
	(void)arg;
	close(fd);
	arrive_and_wait();
	expect_text("in the child that maps it", "parent", map);
	strcpy(map, "mapper");
}

static void fd_only(void *arg)
{
	(void)arg;
	must(munmap(map, PAGE));
	arrive_and_wait();
	char got[7];
	must_be(pread(fd, got, 7, 0) == 7);
	expect_text("in the child that has it open", "mapper", got);
	expect("shared position", 100, lseek(fd, 0, SEEK_CUR));
	must(lseek(fd, 200, SEEK_SET));
	must_be(pwrite(fd, "opener", 7, 0) == 7);
}

static void opened_anew(void *arg)
{
	(void)arg;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int own = must(open(path, O_RDWR));
	must(dup2(own, fd));
	must(munmap(map, PAGE));
	map = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0));
	must(lseek(fd, 300, SEEK_SET));
	arrive_and_wait();
	expect_text("in the child that has opened it", "opener", map);
	expect("its position", 300, lseek(own, 0, SEEK_CUR));
	strcpy(map, "anew");
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	fd = must(memfd_create("shared by all", 0));
	must(ftruncate(fd, PAGE));
	map = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	pid_t mapper = start_child(map_only, NULL), opener = start_child(fd_only, NULL), anew = start_child(opened_anew, NULL);
	must(munmap(map, PAGE));
	must(lseek(fd, 100, SEEK_SET));
	ready();
	wait_for_trigger();
	must_be(pwrite(fd, "parent", 7, 0) == 7);
	check_child(mapper);
	check_child(opener);
	expect("position that the child has moved", 200, lseek(fd, 0, SEEK_CUR));
	check_child(anew);
	char got[5];
	must_be(pread(fd, got, 5, 0) == 5);
	expect_text("in the end", "anew", got);
	pass();
}
