// SPDX-License-Identifier: GPL-2.0-only
// Sockets without a peer and bound ones: abstract and path names, relative ones, listening ones with a connection that waits, clients that are
// connected; the file keeps its owner and mode. Datagram sockets whose servers have higher descriptors than they have.
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char dir[256];
	snprintf(dir, sizeof(dir), "%s.dir", scenario_out_path);
	must(mkdir(dir, 0755));
	must(chdir(dir));
	struct address name = path_address(beside("listen")), relative = path_address("relative");
	struct address hidden = abstract_address("a/b");
	hidden.un.sun_path[1] = '/';
	hidden.un.sun_path[hidden.length++ - 2] = 0;
	int listener = bound_socket(SOCK_STREAM, name);
	must(chmod(name.un.sun_path, 0640));
	must(chown(name.un.sun_path, 18943, 58467));
	must(listen(listener, 3));
	int client = connected_socket(SOCK_STREAM, name);
	int server = must(accept(listener, NULL, NULL));
	int waiting[2] = { connected_socket(SOCK_STREAM, name), connected_socket(SOCK_STREAM, name) };
	int packets = bound_socket(SOCK_SEQPACKET, relative);
	must(listen(packets, 1));
	int not_yet = bound_socket(SOCK_STREAM, hidden);
	must(chdir("/"));
	int fresh = must(socket(AF_UNIX, SOCK_STREAM, 0));
	int fresh_packet = must(socket(AF_UNIX, SOCK_SEQPACKET, 0)), bound_packet = bound_socket(SOCK_SEQPACKET, abstract_address("bound"));
	int low[2], high[2];
	for (int i = 0; i < 2; i++) {
		struct address at = i ? abstract_address("high") : path_address(beside("high"));
		int first = bound_socket(SOCK_DGRAM, at);
		low[i] = connected_socket(SOCK_DGRAM, at);
		high[i] = must(fcntl(first, F_DUPFD, 100 + i));
		close(first);
		send_text(low[i], "waits");
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++) {
		expect_message("datagram that waited", high[i], "waits");
		send_text(low[i], "later");
		expect_message("datagram", high[i], "later");
	}
	must(unlink(beside("high")));
	struct stat st;
	must(stat(name.un.sun_path, &st));
	expect("mode", S_IFSOCK | 0640, st.st_mode);
	expect("owner", 18943, st.st_uid);
	expect("group", 58467, st.st_gid);
	expect_talk("accepted connection", client, server);
	for (int i = 0; i < 2; i++) {
		send_text(waiting[i], i ? "two" : "one");
		int got = must(accept(listener, NULL, NULL));
		expect_message("accepted in order", got, i ? "two" : "one");
		expect_talk("connection that waited", waiting[i], got);
	}
	expect_name("name of the listener", listener, name);
	expect_name("relative name", packets, relative);
	expect_name("abstract name", not_yet, hidden);
	must(chdir(dir));
	int packet = connected_socket(SOCK_SEQPACKET, relative);
	must(listen(bound_packet, 1));
	struct address bound = abstract_address("bound");
	must(connect(fresh_packet, (struct sockaddr *)&bound.un, bound.length));
	expect_talk("listener that was bound only", fresh_packet, must(accept(bound_packet, NULL, NULL)));
	expect_talk("relative listener", packet, must(accept(packets, NULL, NULL)));
	must(listen(not_yet, 1));
	must(connect(fresh, (struct sockaddr *)&hidden.un, hidden.length));
	expect_talk("abstract listener", fresh, must(accept(not_yet, NULL, NULL)));
	must(unlink("relative"));
	must(unlink(name.un.sun_path));
	must(rmdir(dir));
	pass();
}
