// SPDX-License-Identifier: GPL-2.0-only
// A file that never had a name (O_TMPFILE).
// @may-differ fd/4/flags O_TMPFILE in the flags only tells how the file was made
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);
	if (fd < 0)
		skip("O_TMPFILE: %s", strerror(errno));
	must_be(write(fd, "nameless", 8) == 8);
	ready();
	wait_for_trigger();
	char text[16] = { 0 };
	must_be(pread(fd, text, 15, 0) == 8);
	expect_text("content", "nameless", text);
	struct stat st;
	must(fstat(fd, &st));
	expect("mode", S_IFREG | 0640, st.st_mode);
	expect("links", 0, st.st_nlink);
	pass();
}
