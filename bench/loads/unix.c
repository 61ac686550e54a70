// SPDX-License-Identifier: GPL-2.0-only
// unix COUNT: that many pairs of unix sockets, streams and datagrams in turn, with a word of its own in each direction.
#include "descriptors.h"
#include <sys/socket.h>

static size_t count;
static int (*ends)[2];

static int check(void)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < 2; k++) {
			uint64_t word;
			if (recv(ends[i][k], &word, sizeof(word), MSG_DONTWAIT) != sizeof(word) || word != noise(2 * i + k))
				return 0;
		}
	return 1;
}

int main(int argc, char **argv)
{
	count = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
	allow_descriptors(2 * count);
	ends = calloc(count, sizeof(*ends));
	need(ends != NULL, "calloc");
	for (size_t i = 0; i < count; i++) {
		need(socketpair(AF_UNIX, i % 2 ? SOCK_DGRAM : SOCK_STREAM, 0, ends[i]) == 0, "socketpair");
		for (size_t k = 0; k < 2; k++) {
			uint64_t word = noise(2 * i + k);
			need(send(ends[i][1 - k], &word, sizeof(word), 0) == sizeof(word), "send");
		}
	}
	tell_ready();
	wait_and_check(check);
}
