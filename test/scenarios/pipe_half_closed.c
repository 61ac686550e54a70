// SPDX-License-Identifier: GPL-2.0-only
// A pipe with data and no writer left, and one with a writer and no reader.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int a[2], b[2], c[2];
	must(pipe(a));
	must(pipe(b));
	must(pipe(c));
	must_be(write(a[1], "left behind", 11) == 11);
	close(a[1]);
	close(b[0]);
	close(c[1]);
	signal(SIGPIPE, SIG_IGN);
	ready();
	wait_for_trigger();
	char text[32] = { 0 };
	must_be(read(a[0], text, 31) == 11);
	expect_text("data", "left behind", text);
	expect("end of file", 0, read(a[0], text, 1));
	expect("write without reader", -1, write(b[1], "x", 1));
	expect("its errno", EPIPE, errno);
	expect("end of file of the empty one", 0, read(c[0], text, 1));
	pass();
}
