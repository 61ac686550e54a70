// SPDX-License-Identifier: GPL-2.0-only
// Internet sockets for scenarios: addresses that no other run has, and short forms of options.
#ifndef INET_H
#define INET_H
#include "scenario.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

// An IPv4 address of the loopback network for this run alone: from the name of its folder.
__attribute__((unused)) static struct sockaddr_in own_address(unsigned int which, int port)
{
	uint32_t hash = 2166136261u;
	for (const char *c = scenario_out_path; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	at.sin_addr.s_addr = htonl(0x7f800000u | ((hash & 0xfffffu) << 3) | (which & 7));
	return at;
}

__attribute__((unused)) static struct sockaddr_in6 loopback6(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	return at;
}

#define bind_to(fd, at) must(bind(fd, (struct sockaddr *)(at), sizeof(*(at))))
#define connect_to(fd, at) must(connect(fd, (struct sockaddr *)(at), sizeof(*(at))))

// Fills in the address that a socket has.
#define own_name(fd, at)                                                                                    \
	({                                                                                                      \
		socklen_t n_ = sizeof(*(at));                                                                       \
		must(getsockname(fd, (struct sockaddr *)(at), &n_));                                                \
	})

__attribute__((unused)) static void set_int(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		fail("setsockopt %d:%d to %d, errno %d (%s)", level, name, value, errno, strerror(errno));
}

__attribute__((unused)) static int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t n = sizeof(value);
	if (getsockopt(fd, level, name, &value, &n) < 0)
		fail("getsockopt %d:%d, errno %d (%s)", level, name, errno, strerror(errno));
	return value;
}

// One datagram passes, with the right sender.
__attribute__((unused)) static void expect_datagram(const char *what, int from, int to, const struct sockaddr *address,
						     socklen_t length, const struct sockaddr *sender)
{
	char text[64];
	struct sockaddr_storage source = { 0 };
	socklen_t n = sizeof(source);
	if (sendto(from, what, strlen(what) + 1, 0, address, length) < 0)
		fail("%s: sendto, errno %d (%s)", what, errno, strerror(errno));
	ssize_t got = recvfrom(to, text, sizeof(text), 0, (struct sockaddr *)&source, &n);
	if (got < 0)
		fail("%s: recvfrom, errno %d (%s)", what, errno, strerror(errno));
	expect_text("datagram", what, text);
	if (sender && memcmp(&source, sender, n))
		fail("%s: another sender", what);
}

// A new client connects to a listening socket, and a byte passes each way.
__attribute__((unused)) static void expect_service(const char *what, int listener, const void *address, socklen_t length)
{
	char byte = 'x';
	int client = must(socket(((struct sockaddr *)address)->sa_family, SOCK_STREAM, 0));
	if (connect(client, address, length) < 0)
		fail("%s: connect, errno %d (%s)", what, errno, strerror(errno));
	int server = accept(listener, NULL, NULL);
	if (server < 0)
		fail("%s: accept, errno %d (%s)", what, errno, strerror(errno));
	must_be(write(client, "a", 1) == 1 && read(server, &byte, 1) == 1 && byte == 'a');
	must_be(write(server, "b", 1) == 1 && read(client, &byte, 1) == 1 && byte == 'b');
	// The client's side ends first: the port is free then.
	must(close(client));
	must_be(read(server, &byte, 1) == 0);
	must(close(server));
}
#endif
