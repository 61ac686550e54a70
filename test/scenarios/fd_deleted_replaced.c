// SPDX-License-Identifier: GPL-2.0-only
// A deleted open file at whose name another file lives now, also open; both keep their own content.
// @peer-may-differ fd/4/link the peer's remapped name shows in the link
// @may-differ fd/4/link its old name is taken: it is made anew under another one
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int old = must(open("name", O_RDWR | O_CREAT | O_EXCL, 0600));
	must_be(write(old, "old content", 11) == 11);
	must(unlink("name"));
	int new = must(open("name", O_RDWR | O_CREAT | O_EXCL, 0644));
	must_be(write(new, "new", 3) == 3);
	ready();
	wait_for_trigger();
	char text[16] = { 0 };
	must_be(pread(old, text, 15, 0) == 11);
	expect_text("old file", "old content", text);
	memset(text, 0, sizeof(text));
	must_be(pread(new, text, 15, 0) == 3);
	expect_text("new file", "new", text);
	struct stat a, b;
	must(fstat(new, &a));
	must(stat("name", &b));
	expect("inode behind the name", a.st_ino, b.st_ino);
	pass();
}
