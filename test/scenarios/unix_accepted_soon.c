// SPDX-License-Identifier: GPL-2.0-only
// A connection whose data can't be looked at before it's accepted: the server accepts once it has been stopped for a moment,
// so that a dump has to let it run on and to look again.
// @skip-peer the original gives up on a connection whose data it cannot look at
#include "unix.h"
#include <time.h>

#define STOPPED_NS 4000000

static long now_ns(void)
{
	struct timespec t;
	must(clock_gettime(CLOCK_MONOTONIC, &t));
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void serve(int listener)
{
	const struct timespec tick = { .tv_nsec = 500000 };
	for (long last = now_ns();;) {
		nanosleep(&tick, NULL);
		long now = now_ns();
		if (now - last < STOPPED_NS) {
			last = now;
			continue;
		}
		int fd = must(accept(listener, NULL, NULL));
		expect_message("what was sent", fd, "early");
		send_text(fd, "answer");
		must(close(fd));
		for (;;)
			pause();
	}
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct address name = abstract_address("listen");
	int listener = bound_socket(SOCK_STREAM, name);
	must(listen(listener, 1));
	int client = connected_socket(SOCK_STREAM, name);
	send_text(client, "early");
	pid_t server = must(fork());
	if (server == 0)
		serve(listener);
	ready();
	wait_for_trigger();
	must(kill(server, SIGSTOP));
	must(waitpid(server, NULL, WUNTRACED));
	nanosleep(&(struct timespec){ .tv_nsec = 2 * STOPPED_NS }, NULL);
	must(kill(server, SIGCONT));
	must(poll(&(struct pollfd){ .fd = client, .events = POLLRDHUP }, 1, -1));
	expect_message("the answer", client, "answer");
	expect_end("the connection", client);
	must(kill(server, SIGKILL));
	must(waitpid(server, NULL, 0));
	pass();
}
