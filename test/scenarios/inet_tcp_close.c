// SPDX-License-Identifier: GPL-2.0-only
// With --tcp-close both ends of a connection are closed afterwards, as is one that had ended before; a listening socket isn't.
// @options --tcp-close
// @skip-mode leave-running the connection is kept where no restore closes it
// @skip-mode leave-stopped the connection is kept until the restore
// @skip-mode none nothing closes the connection
#include "inet.h"
#include <poll.h>

static void expect_closed(const char *what, int fd)
{
	char byte;
	struct tcp_info info;
	struct pollfd poller = { .fd = fd };
	socklen_t n = sizeof(info);
	must(getsockopt(fd, SOL_TCP, TCP_INFO, &info, &n));
	expect(what, TCP_CLOSE, info.tcpi_state);
	expect("recv", 0, recv(fd, &byte, 1, 0));
	expect("poll", 1, poll(&poller, 1, 0));
	expect("its events", POLLHUP, poller.revents);
	expect("send", -1, send(fd, "x", 1, MSG_NOSIGNAL));
	expect("its errno", EPIPE, errno);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sockaddr_in at = own_address(1, 0);
	char byte;
	int listener = must(socket(AF_INET, SOCK_STREAM, 0)), client = must(socket(AF_INET, SOCK_STREAM, 0));
	set_int(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(client, SOL_TCP, TCP_NODELAY, 1);
	bind_to(listener, &at);
	must(listen(listener, 5));
	own_name(listener, &at);
	connect_to(client, &at);
	int server = must(accept(listener, NULL, NULL)), ended = must(socket(AF_INET, SOCK_STREAM, 0));
	connect_to(ended, &at);
	int other = must(accept(listener, NULL, NULL));
	must(shutdown(other, SHUT_WR));
	must(shutdown(ended, SHUT_WR));
	must_be(read(ended, &byte, 1) == 0);
	must_be(read(other, &byte, 1) == 0);
	ready();
	wait_for_trigger();
	expect_closed("state of the client's end", client);
	expect_closed("state of the server's end", server);
	expect_closed("state of an ended connection", ended);
	expect_closed("state of its other end", other);
	expect("TCP_NODELAY", 1, get_int(client, SOL_TCP, TCP_NODELAY));
	expect_service("the listening one", listener, &at, sizeof(at));
	pass();
}
