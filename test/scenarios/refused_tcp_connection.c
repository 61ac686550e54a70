// SPDX-License-Identifier: GPL-2.0-only
// A TCP connection is refused with both addresses and the way out, and goes on unharmed; so are what waits in a listening
// socket, data that's held back by UDP_CORK, and a Multipath TCP socket.
// @expect refused TCP_CONNECTION
// @expect-text --tcp-close
// @expect-text TCP_IN_FLIGHT
// @expect-text UDP_CORK
// @expect-text Multipath
#include "inet.h"
#include <netinet/udp.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_in at = own_address(1, 0), udp_at = own_address(2, 0);
	int listener = must(socket(AF_INET, SOCK_STREAM, 0)), client = must(socket(AF_INET, SOCK_STREAM, 0));
	bind_to(listener, &at);
	must(listen(listener, 5));
	own_name(listener, &at);
	connect_to(client, &at);
	int server = must(accept(listener, NULL, NULL)), waiting = must(socket(AF_INET, SOCK_STREAM, 0));
	connect_to(waiting, &at);
	int udp = must(socket(AF_INET, SOCK_DGRAM, 0)), corked = must(socket(AF_INET, SOCK_DGRAM, 0));
	bind_to(udp, &udp_at);
	own_name(udp, &udp_at);
	connect_to(corked, &udp_at);
	set_int(corked, SOL_UDP, UDP_CORK, 1);
	must(send(corked, "held", 5, 0));
	int multipath = socket(AF_INET, SOCK_STREAM, 262);
	if (multipath < 0)
		skip("no Multipath TCP here");
	ready();
	wait_for_trigger();
	char byte = 0, text[8];
	must_be(write(client, "z", 1) == 1 && read(server, &byte, 1) == 1 && byte == 'z');
	must(accept(listener, NULL, NULL));
	set_int(corked, SOL_UDP, UDP_CORK, 0);
	must(recv(udp, text, sizeof(text), 0));
	expect_text("datagram", "held", text);
	pass();
}
