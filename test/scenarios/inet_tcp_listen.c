// SPDX-License-Identifier: GPL-2.0-only
// Listening sockets of both families serve at their old ports, with their backlogs and options; one that wasn't connected
// connects, one that was only bound listens.
#include "inet.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_in at = own_address(1, 0), bound_at = own_address(2, 0);
	struct sockaddr_in6 at6 = loopback6(), any6 = { .sin6_family = AF_INET6 };
	int listener = must(socket(AF_INET, SOCK_STREAM, 0)), fresh = must(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0));
	int listener6 = must(socket(AF_INET6, SOCK_STREAM, 0)), both = must(socket(AF_INET6, SOCK_STREAM, 0));
	int bound = must(socket(AF_INET, SOCK_STREAM, 0));
	set_int(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(listener, SOL_TCP, TCP_NODELAY, 1);
	set_int(listener, SOL_TCP, TCP_KEEPIDLE, 77);
	set_int(listener, SOL_TCP, TCP_KEEPCNT, 3);
	set_int(fresh, SOL_TCP, TCP_CORK, 1);
	bind_to(listener, &at);
	must(listen(listener, 3));
	own_name(listener, &at);
	set_int(listener6, SOL_IPV6, IPV6_V6ONLY, 1);
	bind_to(listener6, &at6);
	must(listen(listener6, 10));
	own_name(listener6, &at6);
	bind_to(both, &any6);
	must(listen(both, 10));
	own_name(both, &any6);
	bind_to(bound, &bound_at);
	own_name(bound, &bound_at);
	ready();
	wait_for_trigger();
	struct sockaddr_in name = { 0 };
	own_name(bound, &name);
	expect_bytes("address of the bound socket", &bound_at, &name, sizeof(name));
	expect_service("IPv4", listener, &at, sizeof(at));
	expect_service("IPv6", listener6, &at6, sizeof(at6));
	expect("v6only", 1, get_int(listener6, SOL_IPV6, IPV6_V6ONLY));
	struct sockaddr_in mapped = own_address(3, ntohs(any6.sin6_port));
	expect_service("IPv4 at a socket of IPv6", both, &mapped, sizeof(mapped));
	must(listen(bound, 1));
	expect_service("the bound one", bound, &bound_at, sizeof(bound_at));
	struct tcp_info info;
	socklen_t n = sizeof(info);
	must(getsockopt(listener, SOL_TCP, TCP_INFO, &info, &n));
	expect("state", TCP_LISTEN, info.tcpi_state);
	expect("backlog", 3, info.tcpi_sacked);
	expect("SO_REUSEADDR", 1, get_int(listener, SOL_SOCKET, SO_REUSEADDR));
	expect("SO_REUSEADDR of another", 0, get_int(both, SOL_SOCKET, SO_REUSEADDR));
	expect("TCP_NODELAY", 1, get_int(listener, SOL_TCP, TCP_NODELAY));
	expect("TCP_KEEPIDLE", 77, get_int(listener, SOL_TCP, TCP_KEEPIDLE));
	expect("TCP_KEEPCNT", 3, get_int(listener, SOL_TCP, TCP_KEEPCNT));
	expect("TCP_CORK", 1, get_int(fresh, SOL_TCP, TCP_CORK));
	expect("TCP_NODELAY of another", 0, get_int(fresh, SOL_TCP, TCP_NODELAY));
	expect("O_NONBLOCK", O_RDWR | O_NONBLOCK, fcntl(fresh, F_GETFL));
	must_be(connect(fresh, (struct sockaddr *)&at6, sizeof(at6)) == 0 || errno == EINPROGRESS);
	must(accept(listener6, NULL, NULL));
	pass();
}
