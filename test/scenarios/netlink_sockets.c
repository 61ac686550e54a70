// SPDX-License-Identifier: GPL-2.0-only
// Netlink sockets: one bound to a port, one in a group, one connected to a port and a group, one only made; messages pass. One that asks
// for routes still gets its answers.
#include "inet.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static int make(int protocol)
{
	return must(socket(AF_NETLINK, SOCK_RAW, protocol));
}

static void expect_message(const char *what, int fd)
{
	char text[64] = "";
	if (recv(fd, text, sizeof(text), MSG_DONTWAIT) < 0)
		fail("%s: recv, errno %d (%s)", what, errno, strerror(errno));
	expect_text(what, "hello", text);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	// All runs are in one network namespace: ports of this run alone, and nothing is sent to the group.
	uint32_t port = ntohl(own_address(1, 0).sin_addr.s_addr);
	struct sockaddr_nl own = { .nl_family = AF_NETLINK, .nl_pid = port };
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_pid = port + 1, .nl_groups = 1u << 30 };
	struct sockaddr_nl both = { .nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = 1u << 30 };
	struct sockaddr_nl name = { 0 }, now = { 0 };
	int bound = make(NETLINK_USERSOCK), member = make(NETLINK_USERSOCK), client = make(NETLINK_USERSOCK);
	int fresh = make(NETLINK_USERSOCK), route = make(NETLINK_ROUTE);
	bind_to(bound, &own);
	bind_to(member, &group);
	own_name(member, &name);
	connect_to(client, &both);
	bind_to(route, &(struct sockaddr_nl){ .nl_family = AF_NETLINK });
	ready();
	wait_for_trigger();
	socklen_t n = sizeof(now);
	must(getpeername(client, (struct sockaddr *)&now, &n));
	expect_bytes("the other end", &both, &now, sizeof(now));
	connect_to(client, &own);
	must_be(send(client, "hello", 6, 0) == 6);
	expect_message("to the port", bound);
	must_be(sendto(fresh, "hello", 6, 0, (struct sockaddr *)&own, sizeof(own)) == 6);
	expect_message("from the new one", bound);
	own_name(member, &now);
	expect_bytes("address of the member", &name, &now, sizeof(now));
	struct { struct nlmsghdr head; struct rtgenmsg body; } ask = {
		.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .rtgen_family = AF_UNSPEC },
	};
	static char answer[65536];
	must(send(route, &ask, ask.head.nlmsg_len, 0));
	must(recv(route, answer, sizeof(answer), 0));
	expect("type of the answer", RTM_NEWLINK, ((struct nlmsghdr *)answer)->nlmsg_type);
	pass();
}
