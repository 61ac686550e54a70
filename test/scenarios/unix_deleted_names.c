// SPDX-License-Identifier: GPL-2.0-only
// Sockets whose files are gone, with their directories or taken by another file since; the same name several times.
#include "unix.h"

static struct address in_dir(const char *dir, const char *name)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path_address(path);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char dir[256];
	snprintf(dir, sizeof(dir), "%s.gone", scenario_out_path);
	must(mkdir(dir, 0755));
	struct address name = in_dir(dir, "s"), stream = in_dir(dir, "stream"), fifo = path_address(beside("fifo"));
	int servers[2], clients[2], pair[2], accepted[2], connected[2];
	for (int i = 0; i < 2; i++) {
		servers[i] = bound_socket(SOCK_DGRAM | SOCK_NONBLOCK, name);
		clients[i] = connected_socket(SOCK_DGRAM, name);
		must(unlink(name.un.sun_path));
	}
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	for (int i = 0; i < 2; i++) {
		must(bind(pair[i], (struct sockaddr *)&name.un, name.length));
		must(unlink(name.un.sun_path));
	}
	int listener = bound_socket(SOCK_STREAM, stream);
	must(listen(listener, 2));
	for (int i = 0; i < 2; i++) {
		connected[i] = connected_socket(SOCK_STREAM, stream);
		accepted[i] = must(accept(listener, NULL, NULL));
	}
	must(unlink(stream.un.sun_path));
	must(rmdir(dir));
	int taken = bound_socket(SOCK_DGRAM, fifo);
	int to_taken = connected_socket(SOCK_DGRAM, fifo);
	must(unlink(fifo.un.sun_path));
	int other = must(open(fifo.un.sun_path, O_RDWR | O_CREAT, 0600));
	must_be(write(other, "other", 5) == 5);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++) {
		send_text(clients[i], i ? "to one" : "to zero");
		expect_message("deleted server", servers[i], i ? "to one" : "to zero");
	}
	expect_talk("pair of deleted names", pair[0], pair[1]);
	for (int i = 0; i < 2; i++)
		expect_talk("accepted connection", connected[i], accepted[i]);
	expect_name("deleted name", servers[1], name);
	expect_name("deleted listener", listener, stream);
	expect("no directory", -1, access(dir, F_OK));
	send_text(to_taken, "hello");
	expect_message("name that's taken", taken, "hello");
	char text[8] = { 0 };
	must_be(pread(other, text, 5, 0) == 5);
	expect_text("the file that took the name", "other", text);
	must(unlink(fifo.un.sun_path));
	pass();
}
