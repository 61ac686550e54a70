// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a byte out of band and for a message whose sender is gone when the receiver wants to know who that is.
// @expect refused UNIX_QUEUE
// @expect-text out of band
// @expect-text which isn't in the tree
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int stream[2], asked[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	must_be(send(stream[0], "abc", 3, MSG_OOB) == 3);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, asked));
	must(setsockopt(asked[1], SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)));
	if (must(fork()) == 0)
		_exit(send(asked[0], "hello", 5, 0) != 5);
	must(wait(NULL));
	ready();
	wait_for_trigger();
	char byte;
	must_be(recv(stream[1], &byte, 1, MSG_OOB) == 1 && byte == 'c');
	expect_message("rest", stream[1], "ab");
	expect_message("message", asked[1], "hello");
	pass();
}
