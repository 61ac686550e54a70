// SPDX-License-Identifier: GPL-2.0-only
// Raw sockets of many protocols and both families, with ICMP filters and headers of their own: a hand-made packet arrives.
#include "inet.h"
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

#define FILTER (1u << 13)

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_in at = own_address(1, 0), from = own_address(2, 0), ping_at = own_address(3, 0);
	int server = must(socket(AF_INET, SOCK_DGRAM, 0)), plain = must(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_RAW));
	int plain6 = must(socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_RAW)), others[2][257];
	bind_to(server, &at);
	own_name(server, &at);
	int udp = must(socket(AF_INET, SOCK_RAW, IPPROTO_UDP)), icmp = must(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	int icmp6 = must(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
	bind_to(udp, &from);
	set_int(udp, SOL_IP, IP_HDRINCL, 1);
	bind_to(icmp, &ping_at);
	set_int(icmp, SOL_RAW, ICMP_FILTER, FILTER);
	uint32_t filter6[8] = { FILTER, 0, 0, 7 }, kept6[8] = { 0 };
	must(setsockopt(icmp6, SOL_ICMPV6, ICMPV6_FILTER, filter6, sizeof(filter6)));
	for (int i = 1; i <= 256; i += 17)
		for (int family = 0; family < 2; family++)
			others[family][i] = must(socket(family ? AF_INET6 : AF_INET, SOCK_RAW, i));
	ready();
	wait_for_trigger();
	struct { struct ip ip; struct udphdr udp; char text[26]; } __attribute__((packed)) packet = {
		.ip = { .ip_v = 4, .ip_hl = 5, .ip_ttl = 9, .ip_p = IPPROTO_UDP, .ip_src = from.sin_addr, .ip_dst = at.sin_addr },
		.udp = { .uh_sport = htons(4242), .uh_dport = at.sin_port, .uh_ulen = htons(34) },
		.text = "a packet made all by hand",
	};
	char text[64];
	struct sockaddr_in sender = { 0 };
	socklen_t n = sizeof(sender);
	must(sendto(udp, &packet, sizeof(packet), 0, (struct sockaddr *)&at, sizeof(at)));
	expect("its length", 26, recvfrom(server, text, sizeof(text), 0, (struct sockaddr *)&sender, &n));
	expect_text("packet", packet.text, text);
	expect("port of the sender", 4242, ntohs(sender.sin_port));
	expect("ICMP filter", FILTER, get_int(icmp, SOL_RAW, ICMP_FILTER));
	n = sizeof(kept6);
	must(getsockopt(icmp6, SOL_ICMPV6, ICMPV6_FILTER, kept6, &n));
	expect_bytes("ICMPv6 filter", filter6, kept6, sizeof(kept6));
	own_name(icmp, &sender);
	expect("address of a raw socket", ping_at.sin_addr.s_addr, sender.sin_addr.s_addr);
	expect("IP_HDRINCL of IPPROTO_RAW", 1, get_int(plain, SOL_IP, IP_HDRINCL));
	expect("protocol of IPPROTO_RAW", IPPROTO_RAW, get_int(plain6, SOL_SOCKET, SO_PROTOCOL));
	for (int i = 1; i <= 256; i += 17)
		for (int family = 0; family < 2; family++)
			expect("protocol", i, get_int(others[family][i], SOL_SOCKET, SO_PROTOCOL));
	pass();
}
