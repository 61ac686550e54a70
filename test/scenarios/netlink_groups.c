// SPDX-License-Identifier: GPL-2.0-only
// Netlink groups beyond the first 32, options and the type of the socket are kept.
// @skip-peer CRIU keeps 32 groups and none of these options
#include "inet.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int events = must(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE));
	set_int(events, SOL_NETLINK, NETLINK_EXT_ACK, 1);
	set_int(events, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
	bind_to(events, (&(struct sockaddr_nl){ .nl_family = AF_NETLINK, .nl_groups = RTMGRP_NEIGH }));
	set_int(events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, 33);
	ready();
	wait_for_trigger();
	uint32_t words[8] = { 0 };
	socklen_t n = sizeof(words);
	must(getsockopt(events, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &n));
	expect("groups", RTMGRP_NEIGH, words[0]);
	expect("more groups", 1, words[1]);
	expect("NETLINK_EXT_ACK", 1, get_int(events, SOL_NETLINK, NETLINK_EXT_ACK));
	expect("NETLINK_GET_STRICT_CHK", 1, get_int(events, SOL_NETLINK, NETLINK_GET_STRICT_CHK));
	expect("type", SOCK_DGRAM, get_int(events, SOL_SOCKET, SO_TYPE));
	pass();
}
