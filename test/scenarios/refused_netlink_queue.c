// SPDX-License-Identifier: GPL-2.0-only
// A netlink socket with messages that wait to be read is refused, and goes on unharmed.
// @expect refused NETLINK_QUEUE
#include "inet.h"
#include <linux/netlink.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_nl own = { .nl_family = AF_NETLINK, .nl_pid = ntohl(own_address(1, 0).sin_addr.s_addr) };
	int a = must(socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK)), b = must(socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK));
	char text[8] = "";
	bind_to(a, &own);
	must(sendto(b, "wait", 5, 0, (struct sockaddr *)&own, sizeof(own)));
	ready();
	wait_for_trigger();
	must(recv(a, text, sizeof(text), 0));
	expect_text("message", "wait", text);
	pass();
}
