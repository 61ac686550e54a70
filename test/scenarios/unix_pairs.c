// SPDX-License-Identifier: GPL-2.0-only
// Pairs of sockets of all types, empty, with data in both directions, and with one end closed or shut down.
#include "unix.h"

static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int empty[3][2], full[3][2], half[3][2], closed[3][2];
	for (int i = 0; i < 3; i++) {
		must(socketpair(AF_UNIX, types[i] | (i == 0 ? SOCK_NONBLOCK : 0), 0, empty[i]));
		must(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, full[i]));
		must(socketpair(AF_UNIX, types[i], 0, half[i]));
		must(socketpair(AF_UNIX, types[i], 0, closed[i]));
		must(fcntl(full[i][1], F_SETFL, O_NONBLOCK));
		for (int k = 0; k < 2; k++) {
			send_text(full[i][k], k ? "first back" : "first");
			send_text(full[i][k], k ? "second back" : "second");
		}
		send_text(half[i][0], "the last");
		must(shutdown(half[i][0], SHUT_WR));
		send_text(closed[i][0], "good-bye");
		close(closed[i][0]);
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++) {
		expect_talk("empty pair", empty[i][0], empty[i][1]);
		for (int k = 0; k < 2; k++) {
			int mark;
			must(getsockopt(full[i][k], SOL_SOCKET, SO_PEEK_OFF, &mark, &(socklen_t){ sizeof(mark) }));
			expect("place of looks", -1, mark);
		}
		if (i == 0) {
			expect_message("stream", full[i][1], "firstsecond");
			expect_message("stream back", full[i][0], "first backsecond back");
		} else {
			expect_message("first", full[i][1], "first");
			expect_message("second", full[i][1], "second");
			expect_message("first back", full[i][0], "first back");
			expect_message("second back", full[i][0], "second back");
		}
		expect_nothing("read after all", full[i][0]);
		expect_talk("pair that was full", full[i][0], full[i][1]);
		expect("flags", O_RDWR, fcntl(full[i][0], F_GETFL));
		expect("flags", O_RDWR | O_NONBLOCK, fcntl(full[i][1], F_GETFL));
		expect_message("half-closed", half[i][1], "the last");
		if (types[i] != SOCK_DGRAM)
			expect_end("half-closed end", half[i][1]);
		expect("write after shutdown", -1, send(half[i][0], "x", 1, MSG_NOSIGNAL));
		expect("its errno", EPIPE, errno);
		send_text(half[i][1], "still");
		expect_message("other direction", half[i][0], "still");
		expect_message("closed peer", closed[i][1], "good-bye");
		if (types[i] != SOCK_DGRAM)
			expect_end("closed peer's end", closed[i][1]);
		expect("write to a closed peer", -1, send(closed[i][1], "x", 1, MSG_NOSIGNAL));
		// Images of the peer don't tell that a datagram socket has lost its peer.
		if (types[i] != SOCK_DGRAM)
			expect("its errno", EPIPE, errno);
	}
	pass();
}
