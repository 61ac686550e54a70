// SPDX-License-Identifier: GPL-2.0-only
// Datagrams that nobody has received yet keep order, content, senders and targets: of senders that are gone, connected and
// shared sockets, IPv6 and IPv4 within it, sockets bound to a device, small buffers. No signal tells of them again.
// @skip-peer CRIU loses datagrams that wait
#include "inet.h"

#define LARGE 20000

static int udp_at(const struct sockaddr *at, socklen_t n, int reuse)
{
	int fd = must(socket(at->sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, reuse);
	must(bind(fd, at, n));
	return fd;
}

#define udp(at) udp_at((struct sockaddr *)(at), sizeof(*(at)), 0)

// Sends from that address, by a socket that is closed then; fills in its port.
static void send_from(struct sockaddr *from, socklen_t n, const void *to, const char *data, size_t length)
{
	int fd = udp_at(from, n, 0);
	must(getsockname(fd, from, &n));
	expect("sent", length, sendto(fd, data, length, 0, to, n));
	must(close(fd));
}

#define say(from, to, text) send_from((struct sockaddr *)(from), sizeof(*(from)), to, text, strlen(text))

static void receive(const char *what, int fd, const char *wanted, size_t length, const void *from, socklen_t n)
{
	static char got[65536];
	struct sockaddr_storage source = { 0 };
	socklen_t got_n = sizeof(source);
	ssize_t count = recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&source, &got_n);
	if (count < 0)
		fail("%s: errno %d (%s)", what, errno, strerror(errno));
	expect(what, length, count);
	expect_bytes(what, wanted, got, length);
	expect_bytes("sender", from, &source, n);
}

#define hear(what, fd, text, from) receive(what, fd, text, strlen(text), from, sizeof(*(from)))

static void expect_empty(const char *what, int fd)
{
	char byte;
	expect(what, -1, recv(fd, &byte, 1, 0));
	expect("its errno", EAGAIN, errno);
}

static struct sockaddr_in target_of(int fd, const char *wanted)
{
	char got[64], control[128];
	struct sockaddr_in target = { 0 };
	struct iovec iov = { got, sizeof(got) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	expect("received", strlen(wanted), recvmsg(fd, &message, 0));
	expect_bytes("content", wanted, got, strlen(wanted));
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part))
		if (part->cmsg_level == SOL_IP && part->cmsg_type == IP_PKTINFO)
			target.sin_addr = ((struct in_pktinfo *)CMSG_DATA(part))->ipi_addr;
	return target;
}

static volatile sig_atomic_t told;

static void on_sigio(int sig)
{
	(void)sig;
	told++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static char large[LARGE];
	fill(large, sizeof(large), 3);
	struct sockaddr_in one = own_address(1, 0), two = own_address(2, 0), gone = own_address(3, 0), later = own_address(4, 0);
	struct sockaddr_in bound = own_address(5, 0), many = own_address(6, 0), any = { .sin_family = AF_INET }, from[3] = { gone, gone, gone };
	struct sockaddr_in6 six = loopback6(), gone6 = loopback6(), mapped = { .sin6_family = AF_INET6 }, mapped_from;
	struct sockaddr_in nobody = { .sin_family = AF_UNSPEC };
	signal(SIGIO, on_sigio);
	// Several senders, one datagram that is large for the buffer.
	int plain = udp(&one);
	own_name(plain, &one);
	say(&gone, &one, "first");
	say(&later, &one, "second");
	send_from((struct sockaddr *)&gone, sizeof(gone), &one, large, LARGE);
	set_int(plain, SOL_SOCKET, SO_RCVBUF, 4096);
	int buffer = get_int(plain, SOL_SOCKET, SO_RCVBUF);
	must(fcntl(plain, F_SETOWN, getpid()));
	must(fcntl(plain, F_SETFL, O_NONBLOCK | O_ASYNC));
	// Connected sockets, of which one had a datagram before it was.
	int a = udp(&two), b = must(socket(AF_INET, SOCK_DGRAM, 0));
	own_name(a, &two);
	say(&later, &two, "from elsewhere");
	connect_to(b, &two);
	struct sockaddr_in b_at = { 0 };
	own_name(b, &b_at);
	connect_to(a, &b_at);
	must_be(send(b, "from the peer", 13, 0) == 13);
	int v6 = udp(&six);
	own_name(v6, &six);
	say(&gone6, &six, "over IPv6");
	// IPv4 within IPv6, at any address.
	int both = udp(&mapped);
	own_name(both, &mapped);
	mapped_from = mapped;
	any.sin_port = mapped.sin6_port;
	any.sin_addr = one.sin_addr;
	int sender = udp(&from[0]);
	own_name(sender, &from[0]);
	must_be(sendto(sender, "IPv4 within", 11, 0, (struct sockaddr *)&any, sizeof(any)) == 11);
	mapped_from.sin6_port = from[0].sin_port;
	mapped_from.sin6_addr.s6_addr[10] = mapped_from.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&mapped_from.sin6_addr.s6_addr[12], &from[0].sin_addr, 4);
	// A device, and a program that wants to know to which of many addresses.
	any.sin_addr.s_addr = 0;
	any.sin_port = 0;
	int aware = udp(&any), on_lo = udp(&bound);
	set_int(aware, SOL_IP, IP_PKTINFO, 1);
	must(setsockopt(on_lo, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	own_name(on_lo, &bound);
	own_name(aware, &any);
	say(&from[1], &bound, "by a device");
	any.sin_addr = own_address(7, 0).sin_addr;
	say(&from[1], &any, "to one of many");
	// Two sockets at one address: each keeps its own.
	int loose = udp(&many);
	own_name(loose, &many);
	connect_to(loose, &from[0]);
	must_be(sendto(sender, "to a port that is free now", 26, 0, (struct sockaddr *)&many, sizeof(many)) == 26);
	connect_to(loose, &nobody);
	int first = udp_at((struct sockaddr *)&many, sizeof(many), 1);
	int second = udp_at((struct sockaddr *)&many, sizeof(many), 1);
	connect_to(first, &from[0]);
	must_be(sendto(sender, "for the connected one", 21, 0, (struct sockaddr *)&many, sizeof(many)) == 21);
	connect_to(first, &nobody);
	connect_to(second, &from[0]);
	must_be(sendto(sender, "for the other", 13, 0, (struct sockaddr *)&many, sizeof(many)) == 13);
	connect_to(second, &nobody);
	int before = told;
	ready();
	wait_for_trigger();
	expect("signals", before, told);
	expect("flags", O_RDWR | O_NONBLOCK | O_ASYNC, fcntl(plain, F_GETFL));
	must(fcntl(plain, F_SETFL, O_NONBLOCK));
	hear("first", plain, "first", &gone);
	hear("second", plain, "second", &later);
	receive("large", plain, large, LARGE, &gone, sizeof(gone));
	expect_empty("plain", plain);
	expect("buffer", buffer, get_int(plain, SOL_SOCKET, SO_RCVBUF));
	hear("elsewhere", a, "from elsewhere", &later);
	hear("peer", a, "from the peer", &b_at);
	expect_empty("connected", a);
	must_be(send(a, "back", 4, 0) == 4);
	hear("back", b, "back", &two);
	hear("IPv6", v6, "over IPv6", &gone6);
	hear("IPv4 within IPv6", both, "IPv4 within", &mapped_from);
	hear("device", on_lo, "by a device", &from[1]);
	char device[16] = "";
	must(getsockopt(on_lo, SOL_SOCKET, SO_BINDTODEVICE, device, &(socklen_t){ sizeof(device) }));
	expect_text("device", "lo", device);
	struct sockaddr_in target = target_of(aware, "to one of many");
	expect_bytes("target", &any.sin_addr, &target.sin_addr, 4);
	hear("first of two", first, "for the connected one", &from[0]);
	hear("second of two", second, "for the other", &from[0]);
	hear("port that is free", loose, "to a port that is free now", &from[0]);
	own_name(loose, &target);
	expect("no port", 0, target.sin_port);
	expect_empty("first of two", first);
	expect_empty("second of two", second);
	expect("place of looks", -1, get_int(plain, SOL_SOCKET, SO_PEEK_OFF));
	// All are as they were: anybody can talk to them.
	must_be(sendto(sender, "new", 3, 0, (struct sockaddr *)&one, sizeof(one)) == 3);
	hear("new", plain, "new", &from[0]);
	pass();
}
