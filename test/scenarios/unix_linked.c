// SPDX-License-Identifier: GPL-2.0-only
// Sockets whose files were linked to another name and lost the one to which they were bound, as servers do it that appear in one
// step: they're reached by the other one.
// @skip-peer the peer makes the file anew under the name to which it was bound, and removes it
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct address bound = path_address(beside("first")), linked = path_address(beside("linked"));
	int listener = bound_socket(SOCK_STREAM, bound);
	must(listen(listener, 4));
	must(link(bound.un.sun_path, linked.un.sun_path));
	must(unlink(bound.un.sun_path));
	must(chmod(linked.un.sun_path, 0640));
	ready();
	wait_for_trigger();
	expect_name("name of the listener", listener, bound);
	expect("no file at its name", -1, access(bound.un.sun_path, F_OK));
	struct stat status;
	must(stat(linked.un.sun_path, &status));
	expect("mode", 0640, status.st_mode & 07777);
	int client = connected_socket(SOCK_STREAM, linked);
	expect_talk("connection", client, must(accept(listener, NULL, NULL)));
	must(unlink(linked.un.sun_path));
	pass();
}
