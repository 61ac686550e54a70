// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for connections that wait to be accepted and whose data can't be looked at: one that has sent some, one
// that was closed again.
// @expect refused UNIX_PENDING
// @expect-text has sent data
// @expect-text closed again
// @expect-text accept it first
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct address name = abstract_address("listen");
	int listener = bound_socket(SOCK_STREAM, name);
	must(listen(listener, 4));
	int client = connected_socket(SOCK_STREAM, name);
	send_text(client, "early");
	close(connected_socket(SOCK_STREAM, name));
	ready();
	wait_for_trigger();
	expect_message("data of the first", must(accept(listener, NULL, NULL)), "early");
	expect_end("the second", must(accept(listener, NULL, NULL)));
	pass();
}
