// SPDX-License-Identifier: GPL-2.0-only
// A datagram socket whose peer a process outside of the tree has bound is connected to it again, by name.
// @options --ext-unix-sk
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct address name = path_address(beside("outside"));
	int told[2];
	must(pipe(told));
	// Its child is an orphan at once, so it isn't in the tree.
	if (must(fork()) == 0) {
		if (setsid() < 0 || fork() > 0)
			_exit(0);
		int server = bound_socket(SOCK_DGRAM, name);
		close(scenario_out);
		must_be(write(told[1], "", 1) == 1);
		close(told[1]);
		char text[16];
		int done = open(beside("got"), O_WRONLY | O_CREAT | O_APPEND, 0666);
		ssize_t n;
		while ((n = recv(server, text, sizeof(text), 0)) > 1)
			if (write(done, text, n) != n)
				_exit(1);
		_exit(0);
	}
	must(waitpid(-1, NULL, 0));
	char byte;
	must_be(read(told[0], &byte, 1) == 1);
	int client = connected_socket(SOCK_DGRAM, name);
	close(told[0]);
	close(told[1]);
	ready();
	wait_for_trigger();
	must(unlink(name.un.sun_path));
	send_text(client, "after");
	send_text(client, ".");
	char text[16] = { 0 };
	for (int i = 0; text[0] == 0 && i < 2000; i++) {
		int fd = open(beside("got"), O_RDONLY);
		if (fd >= 0 && read(fd, text, 5) < 0)
			fail("read: %d", errno);
		close(fd);
		usleep(1000);
	}
	expect_text("received outside", "after", text);
	must(unlink(beside("got")));
	pass();
}
