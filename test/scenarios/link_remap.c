// SPDX-License-Identifier: GPL-2.0-only
// Open files that lost the names under which they're open but have others, with --link-remap: in a folder that's still there
// and in one that's gone, open twice. They are the very same files, and no link is left.
// @options --link-remap
// @skip-mode leave-stopped the links of the first dump stay: its images need them
// @skip-mode leave-running the links of the last dump stay: its images need them
#include "tree.h"
#include <dirent.h>

static void expect_no_link(const char *folder)
{
	DIR *dir = opendir(folder);
	must_be(dir != NULL);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (strncmp(entry->d_name, "link_remap", 10) == 0)
			fail("%s is left in %s", entry->d_name, folder);
	closedir(dir);
}

static void expect_file(const char *what, int fd, ino_t ino, const char *other)
{
	struct stat st;
	must(fstat(fd, &st));
	expect(what, ino, st.st_ino);
	must(stat(other, &st));
	expect(other, ino, st.st_ino);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(mkdir("folder", 0700));
	must(mkdir("gone", 0700));
	int first = must(open("folder/first", O_RDWR | O_CREAT, 0600)), again = must(open("folder/first", O_RDONLY));
	int second = must(open("gone/second", O_WRONLY | O_CREAT, 0600));
	must(link("folder/first", "first"));
	must(link("gone/second", "second"));
	must(unlink("folder/first"));
	must(unlink("gone/second"));
	must(rmdir("gone"));
	struct stat a, b;
	must(fstat(first, &a));
	must(fstat(second, &b));
	pid_t pid = start_sleeper();
	ready();
	wait_for_trigger();
	expect_file("first file", first, a.st_ino, "first");
	expect_file("first file again", again, a.st_ino, "first");
	expect_file("second file", second, b.st_ino, "second");
	must_be(write(first, "text", 4) == 4);
	char text[4];
	must_be(read(again, text, 4) == 4);
	expect("deleted folder", -1, access("gone", F_OK));
	check_child(pid);
	must(stat("first", &a));
	expect("links of the first file", 1, a.st_nlink);
	expect_no_link("folder");
	expect_no_link(".");
	pass();
}
