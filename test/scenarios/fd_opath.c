// SPDX-License-Identifier: GPL-2.0-only
// O_PATH descriptors of a file, a directory and a symbolic link itself.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	close(must(open("file", O_WRONLY | O_CREAT | O_EXCL, 0600)));
	must(symlink("where it leads", "link"));
	must(mkdir("dir", 0700));
	int file = must(open("file", O_PATH)), dir = must(open("dir", O_PATH | O_DIRECTORY));
	int link = must(open("link", O_PATH | O_NOFOLLOW | O_CLOEXEC));
	ready();
	wait_for_trigger();
	char text[64] = { 0 };
	must_be(fcntl(file, F_GETFL) & O_PATH);
	must_be(fcntl(dir, F_GETFL) & O_PATH);
	expect("read of an O_PATH file", -1, read(file, text, 1));
	expect("its errno", EBADF, errno);
	must(readlinkat(link, "", text, sizeof(text) - 1));
	expect_text("symbolic link", "where it leads", text);
	close(must(openat(dir, "in the directory", O_WRONLY | O_CREAT | O_EXCL, 0600)));
	must(access("dir/in the directory", F_OK));
	pass();
}
