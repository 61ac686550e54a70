// SPDX-License-Identifier: GPL-2.0-only
// Options of internet sockets that CRIU keeps: buffers, time limits, device, mark, linger, filter, and those of IP.
#include "inet.h"
#include <linux/filter.h>
#include <sys/time.h>

static const int plain[][3] = {
	{ SOL_SOCKET, SO_PRIORITY, 3 }, { SOL_SOCKET, SO_RCVLOWAT, 7 },	 { SOL_SOCKET, SO_MARK, 99 },
	{ SOL_SOCKET, SO_DONTROUTE, 1 }, { SOL_SOCKET, SO_NO_CHECK, 1 }, { SOL_SOCKET, SO_OOBINLINE, 1 },
	{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { SOL_IP, IP_FREEBIND, 1 },	 { SOL_IP, IP_PKTINFO, 1 },
	{ SOL_IP, IP_TTL, 32 },
};
static const int plain6[][3] = { { SOL_IPV6, IPV6_FREEBIND, 1 }, { SOL_IPV6, IPV6_RECVPKTINFO, 1 } };

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sock_filter code[] = { { BPF_LD | BPF_W | BPF_LEN, 0, 0, 0 },
				      { BPF_JMP | BPF_JGT | BPF_K, 0, 1, 100 },
				      { BPF_RET | BPF_K, 0, 0, 0 },
				      { BPF_RET | BPF_K, 0, 0, 0xffff } };
	struct sock_fprog program = { 4, code };
	struct linger linger = { 1, 30 };
	struct timeval limit = { 1, 500000 };
	int udp = must(socket(AF_INET, SOCK_DGRAM, 0)), udp6 = must(socket(AF_INET6, SOCK_DGRAM, 0));
	int tcp = must(socket(AF_INET, SOCK_STREAM, 0)), server = must(socket(AF_INET, SOCK_DGRAM, 0));
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		set_int(udp, plain[i][0], plain[i][1], plain[i][2]);
	for (size_t i = 0; i < sizeof(plain6) / sizeof(*plain6); i++)
		set_int(udp6, plain6[i][0], plain6[i][1], plain6[i][2]);
	set_int(udp, SOL_IP, IP_TOS, 0x08);
	set_int(udp, SOL_SOCKET, SO_PRIORITY, 3);
	set_int(tcp, SOL_SOCKET, SO_SNDBUF, 50000);
	must(setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	must(setsockopt(tcp, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	must(setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	must(setsockopt(server, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	struct sockaddr_in at = own_address(1, 0);
	bind_to(server, &at);
	own_name(server, &at);
	struct sockaddr_in6 nowhere = { .sin6_family = AF_INET6 };
	must(inet_pton(AF_INET6, "2001:db8::ff00:42:8329", &nowhere.sin6_addr));
	int foreign = must(socket(AF_INET6, SOCK_DGRAM, 0));
	set_int(foreign, SOL_IP, IP_FREEBIND, 1);
	bind_to(foreign, &nowhere);
	set_int(foreign, SOL_IP, IP_FREEBIND, 0);
	int send_buffer = get_int(tcp, SOL_SOCKET, SO_SNDBUF), receive_buffer = get_int(tcp, SOL_SOCKET, SO_RCVBUF);
	ready();
	wait_for_trigger();
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		if (get_int(udp, plain[i][0], plain[i][1]) != plain[i][2])
			fail("option %d:%d is %d", plain[i][0], plain[i][1], get_int(udp, plain[i][0], plain[i][1]));
	for (size_t i = 0; i < sizeof(plain6) / sizeof(*plain6); i++)
		expect("an option of IPv6", plain6[i][2], get_int(udp6, plain6[i][0], plain6[i][1]));
	expect("IP_TOS", 0x08, get_int(udp, SOL_IP, IP_TOS));
	expect("SO_SNDBUF", send_buffer, get_int(tcp, SOL_SOCKET, SO_SNDBUF));
	expect("SO_RCVBUF", receive_buffer, get_int(tcp, SOL_SOCKET, SO_RCVBUF));
	expect("IP_FREEBIND", 0, get_int(foreign, SOL_IP, IP_FREEBIND));
	char device[16] = "";
	socklen_t n = sizeof(device);
	must(getsockopt(tcp, SOL_SOCKET, SO_BINDTODEVICE, device, &n));
	expect_text("device", "lo", device);
	struct linger kept = { 0 };
	n = sizeof(kept);
	must(getsockopt(tcp, SOL_SOCKET, SO_LINGER, &kept, &n));
	expect_bytes("SO_LINGER", &linger, &kept, sizeof(kept));
	struct timeval left = { 0 };
	n = sizeof(left);
	must(getsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &left, &n));
	expect_bytes("SO_RCVTIMEO", &limit, &left, sizeof(left));
	struct sock_filter back[8] = { 0 };
	n = 8;
	must(getsockopt(server, SOL_SOCKET, SO_GET_FILTER, back, &n));
	expect("length of the filter", 4, n);
	expect_bytes("filter", code, back, sizeof(code));
	static char big[200];
	int client = must(socket(AF_INET, SOCK_DGRAM, 0));
	must(sendto(client, big, sizeof(big), 0, (struct sockaddr *)&at, sizeof(at)));
	expect_datagram("short enough", client, server, (struct sockaddr *)&at, sizeof(at), NULL);
	pass();
}
