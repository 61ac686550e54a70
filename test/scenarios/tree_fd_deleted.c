// SPDX-License-Identifier: GPL-2.0-only
// A deleted file held by parent and child: once as one description, once opened anew through /proc; its content is one.
#include "tree.h"

static int fd;

static void run(void *arg)
{
	(void)arg;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int own = must(open(path, O_RDWR));
	must(lseek(own, 4, SEEK_SET));
	arrive_and_wait();
	expect("shared position", 8, lseek(fd, 0, SEEK_CUR));
	expect("own position", 4, lseek(own, 0, SEEK_CUR));
	must_be(pwrite(own, "child", 5, 100) == 5);
	struct stat x, y;
	must(fstat(fd, &x));
	must(fstat(own, &y));
	expect("inode", x.st_ino, y.st_ino);
	expect("links", 0, x.st_nlink);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	fd = must(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
	must_be(write(fd, "content!", 8) == 8);
	must(unlink("file"));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	char text[16] = "";
	must_be(pread(fd, text, 8, 0) == 8);
	expect_text("content", "content!", text);
	must_be(pread(fd, text, 5, 100) == 5);
	must_be(!memcmp(text, "child", 5));
	expect("left in the folder", -1, access("file", F_OK));
	pass();
}
