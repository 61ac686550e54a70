// SPDX-License-Identifier: GPL-2.0-only
// inet COUNT: that many internet sockets: TCP that listens, bound UDP and connected UDP in turn, v4 and v6.
#include "descriptors.h"
#include <netinet/in.h>
#include <sys/socket.h>

static size_t count;
static int *fds;
static in_port_t *ports;

static in_port_t port_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		return 0;
	return ((struct sockaddr_in *)&address)->sin_port;
}

static int check(void)
{
	for (size_t i = 0; i < count; i++)
		if (port_of(fds[i]) != ports[i])
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	count = argc > 1 ? strtoul(argv[1], NULL, 10) : 2500;
	allow_descriptors(count);
	fds = calloc(count, sizeof(*fds));
	ports = calloc(count, sizeof(*ports));
	need(fds != NULL && ports != NULL, "calloc");
	for (size_t i = 0; i < count; i++) {
		int stream = i % 3 == 0;
		if (i % 2) {
			struct sockaddr_in6 own = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
			fds[i] = socket(AF_INET6, stream ? SOCK_STREAM : SOCK_DGRAM, 0);
			need(fds[i] >= 0 && bind(fds[i], (struct sockaddr *)&own, sizeof(own)) == 0, "bind");
		} else {
			struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
			fds[i] = socket(AF_INET, stream ? SOCK_STREAM : SOCK_DGRAM, 0);
			need(fds[i] >= 0 && bind(fds[i], (struct sockaddr *)&own, sizeof(own)) == 0, "bind");
		}
		ports[i] = port_of(fds[i]);
		if (stream)
			need(listen(fds[i], 8) == 0, "listen");
		if (i % 3 == 2) {
			struct sockaddr_storage self;
			socklen_t length = sizeof(self);
			need(getsockname(fds[i], (struct sockaddr *)&self, &length) == 0, "getsockname");
			need(connect(fds[i], (struct sockaddr *)&self, length) == 0, "connect");
		}
	}
	tell_ready();
	wait_and_check(check);
}
