// SPDX-License-Identifier: GPL-2.0-only
// Sockets whose files were renamed after they were bound, and one bound below another root directory: name and file stay.
// @skip-peer the peer makes the file anew under the name to which it was bound
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct address first = path_address(beside("a")), second = path_address(beside("b")), inside = path_address("/sub/s");
	const char *renamed = beside("renamed"), *jail = beside("jail");
	int moved = bound_socket(SOCK_DGRAM, first);
	must(rename(first.un.sun_path, renamed));
	// Another one takes the name, and then the file of the first one comes over it.
	int listeners[2];
	for (int i = 0; i < 2; i++) {
		listeners[i] = bound_socket(SOCK_STREAM, second);
		must(listen(listeners[i], 1));
		if (i == 0)
			must(rename(second.un.sun_path, beside("aside")));
	}
	must(rename(beside("aside"), second.un.sun_path));
	char sub[256];
	must(mkdir(jail, 0755));
	snprintf(sub, sizeof(sub), "%s/sub", jail);
	must(mkdir(sub, 0755));
	int gate[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, gate));
	if (must(fork()) == 0) {
		must(chroot(jail));
		int below = bound_socket(SOCK_DGRAM, inside);
		send_files(gate[0], "fd", &below, 1);
		_exit(0);
	}
	must(wait(NULL));
	int below;
	receive_files("socket from below", gate[1], "fd", &below, 1);
	ready();
	wait_for_trigger();
	expect_name("name of the renamed", moved, first);
	expect("no file at its name", -1, access(first.un.sun_path, F_OK));
	int client = connected_socket(SOCK_DGRAM, path_address(renamed));
	send_text(client, "by its file");
	expect_message("renamed", moved, "by its file");
	client = connected_socket(SOCK_STREAM, second);
	must(accept(listeners[0], NULL, NULL));
	expect_name("name below", below, inside);
	must(chroot(jail));
	client = connected_socket(SOCK_DGRAM, inside);
	send_text(client, "below");
	expect_message("below", below, "below");
	pass();
}
