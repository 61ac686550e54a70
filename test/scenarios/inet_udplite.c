// SPDX-License-Identifier: GPL-2.0-only
// UDP-Lite: a pair talks both ways, with partial checksums; a pair that's shut down stays so.
#include "inet.h"
#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_in one = own_address(1, 0), two = own_address(2, 0), three = own_address(3, 0);
	int a = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
	if (a < 0)
		skip("no UDP-Lite in this kernel");
	int b = must(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)), c = must(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
	bind_to(a, &one);
	bind_to(b, &two);
	bind_to(c, &three);
	own_name(a, &one);
	own_name(b, &two);
	connect_to(b, &one);
	connect_to(c, &one);
	must(shutdown(c, SHUT_RDWR));
	set_int(a, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, 8);
	ready();
	wait_for_trigger();
	expect_datagram("to the connected one", a, b, (struct sockaddr *)&two, sizeof(two), (struct sockaddr *)&one);
	expect_datagram("from the connected one", b, a, NULL, 0, (struct sockaddr *)&two);
	char byte;
	expect("recv after shutdown", 0, recv(c, &byte, 1, 0));
	expect("send after shutdown", -1, send(c, "x", 1, MSG_NOSIGNAL));
	pass();
}
