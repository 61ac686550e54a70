// SPDX-License-Identifier: GPL-2.0-only
// Datagram sockets: clients of a bound one, one that's connected to itself, peers that are connected elsewhere or gone, and
// senders' names on what waits.
// @skip-peer the peer keeps no senders' names and can't reach peers without a name
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct address at = path_address(beside("server")), one = abstract_address("one"), two = path_address(beside("two"));
	struct address loop = abstract_address("loop");
	int server = bound_socket(SOCK_DGRAM, at);
	int clients[2] = { connected_socket(SOCK_DGRAM, at), connected_socket(SOCK_DGRAM, at) };
	int named = bound_socket(SOCK_DGRAM, one);
	must(connect(named, (struct sockaddr *)&at.un, at.length));
	int gone = bound_socket(SOCK_DGRAM, two);
	must(connect(gone, (struct sockaddr *)&at.un, at.length));
	send_text(named, "from one");
	send_text(gone, "from two");
	send_text(clients[1], "from nobody");
	close(gone);
	must(unlink(two.un.sun_path));
	int self = bound_socket(SOCK_DGRAM, loop);
	must(connect(self, (struct sockaddr *)&loop.un, loop.length));
	send_text(self, "to myself");
	int orphan[2], apart[2];
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, orphan));
	send_text(orphan[0], "left behind");
	close(orphan[0]);
	// One end goes elsewhere; the other one still sends to it, in vain.
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, apart));
	must(connect(apart[0], (struct sockaddr *)&at.un, at.length));
	must_be(send(server, "", 0, 0) == -1);
	ready();
	wait_for_trigger();
	const char *texts[] = { "from one", "from two", "from nobody" };
	struct address names[] = { one, two, { .length = 0 } };
	for (int i = 0; i < 3; i++) {
		char text[64] = { 0 };
		struct address from = { .length = sizeof(from.un) };
		must(recvfrom(server, text, sizeof(text) - 1, MSG_DONTWAIT, (struct sockaddr *)&from.un, &from.length));
		expect_text("message", texts[i], text);
		expect("length of the sender's name", names[i].length, from.length);
		expect_bytes("sender's name", &names[i].un, &from.un, from.length);
	}
	expect_nothing("server's queue", server);
	for (int i = 0; i < 2; i++) {
		send_text(clients[i], "again");
		expect_message("connected client", server, "again");
	}
	send_text(named, "named");
	expect_message("named client", server, "named");
	expect_message("to itself", self, "to myself");
	send_text(self, "once more");
	expect_message("to itself", self, "once more");
	expect_message("closed peer", orphan[1], "left behind");
	expect("send to a closed peer", -1, send(orphan[1], "x", 1, 0));
	expect("its errno", ECONNREFUSED, errno);
	send_text(apart[0], "elsewhere");
	expect_message("connected elsewhere", server, "elsewhere");
	expect("send to one that's connected elsewhere", -1, send(apart[1], "x", 1, 0));
	expect("its errno", EPERM, errno);
	expect("no file of the closed socket", -1, access(two.un.sun_path, F_OK));
	must(unlink(at.un.sun_path));
	pass();
}
