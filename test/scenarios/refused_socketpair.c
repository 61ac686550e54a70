// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a pair of connected sockets with data on the way, and the program goes on unharmed.
// @expect refused SOCKET
#include "scenario.h"
#include <sys/socket.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	must_be(write(ends[0], "on the way", 10) == 10);
	ready();
	wait_for_trigger();
	char text[16] = { 0 };
	must_be(read(ends[1], text, 15) == 10);
	expect_text("data", "on the way", text);
	pass();
}
