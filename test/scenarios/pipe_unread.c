// SPDX-License-Identifier: GPL-2.0-only
// Pipes that nobody has open for reading keep what waits in them, and their size: a program can come back to it through /proc.
// @skip-mode peer-ours the original keeps neither
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int full[2], empty[2];
	char path[40], text[32] = { 0 };
	must(pipe(full));
	must(pipe(empty));
	must(fcntl(full[1], F_SETPIPE_SZ, 8192));
	must(fcntl(empty[1], F_SETPIPE_SZ, 16384));
	must_be(write(full[1], "left behind", 11) == 11);
	close(full[0]);
	close(empty[0]);
	signal(SIGPIPE, SIG_IGN);
	ready();
	wait_for_trigger();
	expect("write without reader", -1, write(full[1], "x", 1));
	expect("size", 8192, fcntl(full[1], F_GETPIPE_SZ));
	expect("size of the empty one", 16384, fcntl(empty[1], F_GETPIPE_SZ));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", full[1]);
	int again = must(open(path, O_RDONLY | O_NONBLOCK));
	expect("what waits", 11, must(read(again, text, 31)));
	expect_text("data", "left behind", text);
	must_be(write(full[1], "more", 4) == 4);
	expect("more", 4, must(read(again, text, 31)));
	pass();
}
