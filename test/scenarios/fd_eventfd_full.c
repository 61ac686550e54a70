// SPDX-License-Identifier: GPL-2.0-only
// Event counters beyond 32 bits, up to the largest, at which a writer sleeps.
// @skip-peer the peer keeps 32 bits of a counter
#include "tree.h"
#include <poll.h>
#include <sys/eventfd.h>

static int full;

static void run(void *arg)
{
	(void)arg;
	uint64_t value = 3;
	arrive();
	ssize_t n;
	while ((n = write(full, &value, 8)) < 0 && errno == EINTR)
		;
	expect("bytes", 8, n);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	uint64_t value = 0xfffffffffffffffeULL, large = 1ULL << 32;
	full = must(eventfd(0, 0));
	int fd = must(eventfd(0, 0));
	must_be(write(full, &value, 8) == 8);
	must_be(write(fd, &large, 8) == 8);
	pid_t child = start_child(run, NULL);
	await_asleep(child);
	ready();
	wait_for_trigger();
	struct pollfd state = { full, POLLIN | POLLOUT, 0 };
	expect("poll of the full one", 1, poll(&state, 1, 0));
	expect("its events", POLLIN, state.revents);
	must_be(read(full, &value, 8) == 8);
	expect("full counter", 0xfffffffffffffffeULL, value);
	expect_exit(child, 0);
	must_be(read(full, &value, 8) == 8);
	expect("what the child wrote", 3, value);
	must_be(read(fd, &value, 8) == 8);
	expect("large counter", large, value);
	pass();
}
