// SPDX-License-Identifier: GPL-2.0-only
// Multicast groups of both families, with their sources, are joined again, options that CRIU doesn't keep are as they were, and
// a connected socket without ports is connected.
// @skip-peer CRIU keeps neither groups nor these options, nor connections without ports
#include "inet.h"
#include <net/if.h>
#include <netinet/udp.h>

#define SO_MAX_PACING_RATE_ 47

static const int plain[][3] = {
	{ SOL_IP, IP_MULTICAST_TTL, 5 }, { SOL_IP, IP_MULTICAST_LOOP, 1 }, { SOL_IP, IP_RECVTTL, 1 },
	{ SOL_IP, IP_RECVTOS, 1 },	 { SOL_IP, IP_MTU_DISCOVER, 2 },   { SOL_IP, IP_RECVERR, 1 },
	{ SOL_SOCKET, SO_TIMESTAMPNS, 1 }, { SOL_SOCKET, SO_RXQ_OVFL, 1 }, { SOL_UDP, UDP_GRO, 1 },
	{ SOL_SOCKET, SO_MAX_PACING_RATE_, 123456 },
};
static const int plain6[][3] = {
	{ SOL_IPV6, IPV6_MULTICAST_HOPS, 7 }, { SOL_IPV6, IPV6_RECVTCLASS, 1 }, { SOL_IPV6, IPV6_TCLASS, 0x20 },
	{ SOL_IPV6, IPV6_UNICAST_HOPS, 11 },  { SOL_IPV6, IPV6_DONTFRAG, 1 },
};

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_in group = { .sin_family = AF_INET }, any = { .sin_family = AF_INET }, source = own_address(1, 0);
	// Of the organisation's own, one for each run.
	group.sin_addr.s_addr = htonl(0xefc00000u | (ntohl(source.sin_addr.s_addr) & 0x3fffffu));
	int lo = if_nametoindex("lo"), udp = must(socket(AF_INET, SOCK_DGRAM, 0)), udp6 = must(socket(AF_INET6, SOCK_DGRAM, 0));
	struct ip_mreqn join = { .imr_multiaddr = group.sin_addr, .imr_ifindex = lo };
	struct ipv6_mreq join6 = { .ipv6mr_interface = lo };
	must(inet_pton(AF_INET6, "ff15::4242:1", &join6.ipv6mr_multiaddr));
	bind_to(udp, &any);
	own_name(udp, &any);
	must(setsockopt(udp, SOL_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)));
	must(setsockopt(udp6, SOL_IPV6, IPV6_ADD_MEMBERSHIP, &join6, sizeof(join6)));
	struct ip_mreq_source only = { .imr_interface.s_addr = htonl(INADDR_LOOPBACK), .imr_sourceaddr = source.sin_addr };
	only.imr_multiaddr.s_addr = group.sin_addr.s_addr ^ htonl(1);
	must(setsockopt(udp, SOL_IP, IP_ADD_SOURCE_MEMBERSHIP, &only, sizeof(only)));
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		set_int(udp, plain[i][0], plain[i][1], plain[i][2]);
	for (size_t i = 0; i < sizeof(plain6) / sizeof(*plain6); i++)
		set_int(udp6, plain6[i][0], plain6[i][1], plain6[i][2]);
	int raw = must(socket(AF_INET, SOCK_RAW, 250));
	connect_to(raw, &source);
	must(fchown(udp, 33, 34));
	ready();
	wait_for_trigger();
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if (get_int(udp, plain[i][0], plain[i][1]) != plain[i][2])
			fail("option %d:%d is %d", plain[i][0], plain[i][1], get_int(udp, plain[i][0], plain[i][1]));
	for (size_t i = 0; i < sizeof(plain6) / sizeof(*plain6); i++)
		if (get_int(udp6, plain6[i][0], plain6[i][1]) != plain6[i][2])
			fail("option %d:%d is %d", plain6[i][0], plain6[i][1], get_int(udp6, plain6[i][0], plain6[i][1]));
	expect("leaving the group of IPv6", 0, setsockopt(udp6, SOL_IPV6, IPV6_DROP_MEMBERSHIP, &join6, sizeof(join6)));
	char filter[GROUP_FILTER_SIZE(4)] = { 0 };
	struct group_filter *asked = (struct group_filter *)filter;
	socklen_t n = sizeof(filter);
	asked->gf_interface = lo;
	asked->gf_numsrc = 4;
	struct sockaddr_in second = { .sin_family = AF_INET, .sin_addr = only.imr_multiaddr };
	memcpy(&asked->gf_group, &second, sizeof(second));
	must(getsockopt(udp, SOL_IP, MCAST_MSFILTER, filter, &n));
	expect("mode of the other group", MCAST_INCLUDE, asked->gf_fmode);
	expect("its sources", 1, asked->gf_numsrc);
	expect("its source", source.sin_addr.s_addr, ((struct sockaddr_in *)&asked->gf_slist[0])->sin_addr.s_addr);
	int client = must(socket(AF_INET, SOCK_DGRAM, 0));
	struct ip_mreqn way = { .imr_ifindex = lo };
	must(setsockopt(client, SOL_IP, IP_MULTICAST_IF, &way, sizeof(way)));
	group.sin_port = any.sin_port;
	expect_datagram("to the group", client, udp, (struct sockaddr *)&group, sizeof(group), NULL);
	must(send(raw, "x", 1, 0));
	struct stat owner;
	must(fstat(udp, &owner));
	expect("owner", 33, owner.st_uid);
	expect("its group", 34, owner.st_gid);
	pass();
}
