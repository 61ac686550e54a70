// SPDX-License-Identifier: GPL-2.0-only
// Pairs of UDP sockets, IPv4 and IPv6, one end connected to the other: datagrams pass both ways with the right senders. What is
// shut down stays so, broadcast stays allowed, and a socket that was only made can still be bound.
#include "inet.h"
#include <poll.h>

struct pair { int a, b; struct sockaddr_storage at, bt; socklen_t n; };

static void make(struct pair *pair, struct sockaddr *first, struct sockaddr *second, socklen_t n)
{
	pair->a = must(socket(first->sa_family, SOCK_DGRAM, 0));
	pair->b = must(socket(first->sa_family, SOCK_DGRAM, 0));
	pair->n = n;
	must(bind(pair->a, first, n));
	must(bind(pair->b, second, n));
	must(getsockname(pair->a, (struct sockaddr *)&pair->at, &n));
	must(getsockname(pair->b, (struct sockaddr *)&pair->bt, &n));
	must(connect(pair->b, (struct sockaddr *)&pair->at, n));
}

static void check(struct pair *pair)
{
	struct sockaddr *at = (struct sockaddr *)&pair->at, *bt = (struct sockaddr *)&pair->bt;
	expect_datagram("to the connected one", pair->a, pair->b, bt, pair->n, at);
	expect_datagram("from the connected one", pair->b, pair->a, NULL, 0, bt);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_in one = own_address(1, 0), two = own_address(2, 0), three = own_address(3, 0);
	struct sockaddr_in6 one6 = loopback6(), two6 = loopback6(), mapped = { .sin6_family = AF_INET6 };
	mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&mapped.sin6_addr.s6_addr[12], &one.sin_addr, 4);
	struct sockaddr_in6 mapped2 = mapped;
	struct pair v4, v6, both;
	make(&v4, (struct sockaddr *)&one, (struct sockaddr *)&two, sizeof(one));
	make(&v6, (struct sockaddr *)&one6, (struct sockaddr *)&two6, sizeof(one6));
	make(&both, (struct sockaddr *)&mapped, (struct sockaddr *)&mapped2, sizeof(mapped));
	int broadcast = must(socket(AF_INET, SOCK_DGRAM, 0)), silent = must(socket(AF_INET, SOCK_DGRAM, 0));
	int automatic = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	set_int(broadcast, SOL_SOCKET, SO_BROADCAST, 1);
	bind_to(silent, &three);
	connect_to(silent, (struct sockaddr_in *)&v4.at);
	must(shutdown(silent, SHUT_WR));
	connect_to(automatic, (struct sockaddr_in *)&v4.at);
	struct sockaddr_in chosen = { 0 }, now = { 0 };
	own_name(automatic, &chosen);
	ready();
	wait_for_trigger();
	check(&v4);
	check(&v6);
	check(&both);
	expect("SO_BROADCAST", 1, get_int(broadcast, SOL_SOCKET, SO_BROADCAST));
	bind_to(broadcast, &three);
	expect("send after SHUT_WR", -1, send(silent, "x", 1, MSG_NOSIGNAL));
	expect("its errno", EPIPE, errno);
	struct pollfd poller = { .fd = silent, .events = POLLRDHUP };
	expect("poll", 0, poll(&poller, 1, 0));
	own_name(automatic, &now);
	expect_bytes("address chosen by the kernel", &chosen, &now, sizeof(now));
	expect_datagram("from an address chosen by the kernel", automatic, v4.a, NULL, 0, (struct sockaddr *)&chosen);
	pass();
}
