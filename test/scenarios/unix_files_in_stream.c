// SPDX-License-Identifier: GPL-2.0-only
// A file on its way among the bytes of a stream: whoever reads the bytes before it without asking for files doesn't lose it.
// @skip-mode peer-ours the peer's images join the bytes before with those that come with the file
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2], carried[2], got;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	must(pipe(carried));
	send_text(ends[0], "before");
	send_files(ends[0], "with", &carried[0], 1);
	send_text(ends[0], "after");
	close(carried[0]);
	ready();
	wait_for_trigger();
	char text[16] = { 0 };
	must_be(read(ends[1], text, 6) == 6);
	expect_text("bytes before", "before", text);
	receive_files("among bytes", ends[1], "with", &got, 1);
	must_be(write(carried[1], "in", 2) == 2 && read(got, text, 2) == 2);
	expect_message("bytes after", ends[1], "after");
	pass();
}
