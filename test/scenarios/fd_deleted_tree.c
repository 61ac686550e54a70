// SPDX-License-Identifier: GPL-2.0-only
// A deleted folder with a deleted folder in it, in which a deleted file, symbolic link and node are open; a child has its
// working directory there. They know each other as before.
// @skip-peer the peer can't remove folders in which it has made others, its own images neither
#include "tree.h"

static int outer, inner;

static void expect_same(const char *what, const char *path, int fd)
{
	struct stat a, b;
	must(stat(path, &a));
	must(fstat(fd, &b));
	expect(what, b.st_ino, a.st_ino);
}

static void work_inside(void *arg)
{
	(void)arg;
	must(chdir("outer/inner"));
	arrive_and_wait();
	expect_same("folder of the child", ".", inner);
	expect_same("folder above", "..", outer);
	expect("new file", -1, open("new", O_WRONLY | O_CREAT, 0600));
	expect("error", ENOENT, errno);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(mkdir("outer", 0750));
	must(mkdir("outer/inner", 0705));
	outer = must(open("outer", O_RDONLY | O_DIRECTORY));
	inner = must(open("outer/inner", O_PATH));
	int file = must(open("outer/inner/file", O_RDWR | O_CREAT, 0640));
	must_be(write(file, "text", 4) == 4);
	must(symlink("to nowhere", "outer/inner/link"));
	int link = must(open("outer/inner/link", O_PATH | O_NOFOLLOW));
	must(mknod("outer/null", S_IFCHR | 0600, 0x103));
	int node = must(open("outer/null", O_RDWR));
	pid_t pid = start_child(work_inside, NULL);
	must(unlink("outer/null"));
	must(unlink("outer/inner/link"));
	must(unlink("outer/inner/file"));
	must(rmdir("outer/inner"));
	must(rmdir("outer"));
	ready();
	wait_for_trigger();
	struct stat st;
	must(fstat(outer, &st));
	expect("mode of the folder", S_IFDIR | 0750, st.st_mode);
	must(fstat(inner, &st));
	expect("mode of the inner folder", S_IFDIR | 0705, st.st_mode);
	char text[16] = { 0 };
	must_be(pread(file, text, 15, 0) == 4);
	expect_text("text", "text", text);
	must(fstat(link, &st));
	expect("type of the link", S_IFLNK, st.st_mode & S_IFMT);
	expect("length of the link", 10, readlinkat(link, "", text, sizeof(text)));
	expect_bytes("link", "to nowhere", text, 10);
	must_be(write(node, "text", 4) == 4);
	expect("outer folder", -1, access("outer", F_OK));
	check_child(pid);
	pass();
}
