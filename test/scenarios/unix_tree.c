// SPDX-License-Identifier: GPL-2.0-only
// Sockets of several tasks: a listening one with clients elsewhere, one of which waits, a pair across tasks with data in both
// directions, datagram clients in children.
#include "unix.h"

static struct address name, server_name;
static int listener, server, across[2];

static void run(void *arg)
{
	int i = *(int *)arg;
	int client = connected_socket(SOCK_STREAM, name);
	int sender = connected_socket(SOCK_DGRAM, server_name);
	if (i == 1) {
		close(across[0]);
		send_text(across[1], "from a child");
	}
	arrive_and_wait();
	if (i == 1)
		expect_message("from the parent", across[1], "from the parent");
	send_text(sender, i ? "datagram 1" : "datagram 0");
	send_text(client, i ? "client 1" : "client 0");
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	name = path_address(beside("listen"));
	server_name = abstract_address("server");
	listener = bound_socket(SOCK_STREAM, name);
	must(listen(listener, 1));
	server = bound_socket(SOCK_DGRAM, server_name);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, across));
	send_text(across[0], "from the parent");
	pid_t children[2];
	int accepted = -1;
	for (int i = 0; i < 2; i++) {
		children[i] = start_child(run, &i);
		if (i == 0)
			accepted = must(accept(listener, NULL, NULL));
	}
	close(across[1]);
	ready();
	wait_for_trigger();
	expect_message("from a child", across[0], "from a child");
	for (int i = 0; i < 2; i++)
		check_child(children[i]);
	expect_message("first child's datagram", server, "datagram 0");
	expect_message("second child's datagram", server, "datagram 1");
	expect_message("accepted connection", accepted, "client 0");
	expect_end("accepted connection", accepted);
	int waited = must(accept(listener, NULL, NULL));
	expect_message("connection that waited", waited, "client 1");
	expect_end("connection that waited", waited);
	must(unlink(name.un.sun_path));
	pass();
}
