// SPDX-License-Identifier: GPL-2.0-only
// Sockets of several tasks share a port: listening ones by SO_REUSEPORT, of which one has turned it off again, datagram ones by
// SO_REUSEADDR, a bound one beside a listening one. All have their old settings, and all still serve.
#include "inet.h"
#include <sys/wait.h>

static struct sockaddr_in tcp_at, udp_at, mixed_at;

static int listen_at(struct sockaddr_in *at)
{
	int fd = must(socket(AF_INET, SOCK_STREAM, 0));
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	bind_to(fd, at);
	must(listen(fd, 5));
	own_name(fd, at);
	return fd;
}

static int bind_udp(struct sockaddr_in *at)
{
	int fd = must(socket(AF_INET, SOCK_DGRAM, 0));
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	bind_to(fd, at);
	own_name(fd, at);
	return fd;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	tcp_at = own_address(1, 0), udp_at = own_address(2, 0), mixed_at = own_address(3, 0);
	int first = listen_at(&tcp_at), udp = bind_udp(&udp_at), status, go[2];
	int bound = must(socket(AF_INET, SOCK_STREAM, 0)), listener = must(socket(AF_INET, SOCK_STREAM, 0));
	set_int(bound, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	bind_to(bound, &mixed_at);
	own_name(bound, &mixed_at);
	bind_to(listener, &mixed_at);
	must(listen(listener, 1));
	set_int(listener, SOL_SOCKET, SO_REUSEADDR, 0);
	int done[2];
	must(pipe(go));
	must(pipe(done));
	pid_t child = must(fork());
	if (child == 0) {
		char byte;
		close(first), close(udp), close(bound), close(listener), close(go[1]);
		int own = listen_at(&tcp_at), own_udp = bind_udp(&udp_at);
		set_int(own, SOL_SOCKET, SO_REUSEPORT, 0);
		must_be(write(done[1], "x", 1) == 1);
		must_be(read(go[0], &byte, 1) == 0);
		expect("SO_REUSEPORT turned off", 0, get_int(own, SOL_SOCKET, SO_REUSEPORT));
		expect("SO_REUSEADDR of a datagram socket", 1, get_int(own_udp, SOL_SOCKET, SO_REUSEADDR));
		expect("SO_REUSEPORT of a datagram socket", 0, get_int(own_udp, SOL_SOCKET, SO_REUSEPORT));
		struct tcp_info info;
		socklen_t n = sizeof(info);
		must(getsockopt(own, SOL_TCP, TCP_INFO, &info, &n));
		expect("state in the child", TCP_LISTEN, info.tcpi_state);
		_exit(0);
	}
	char byte;
	must_be(read(done[0], &byte, 1) == 1);
	ready();
	wait_for_trigger();
	expect("SO_REUSEPORT", 1, get_int(first, SOL_SOCKET, SO_REUSEPORT));
	expect("SO_REUSEADDR of the bound one", 1, get_int(bound, SOL_SOCKET, SO_REUSEADDR));
	expect("SO_REUSEADDR of the listening one", 0, get_int(listener, SOL_SOCKET, SO_REUSEADDR));
	expect_service("the listening one", listener, &mixed_at, sizeof(mixed_at));
	close(go[1]);
	must_be(waitpid(child, &status, 0) == child && status == 0);
	expect_service("the one that's left", first, &tcp_at, sizeof(tcp_at));
	must(close(bind_udp(&udp_at)));
	pass();
}
