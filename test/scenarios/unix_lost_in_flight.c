// SPDX-License-Identifier: GPL-2.0-only
// Sockets that nobody has: they're on their way through others, or each through the other's other end. A deleted relative name
// without its directory.
// @skip-peer the peer can't make a pair of which one end is only on its way, nor a relative name without its directory
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int loop[2], nest[2], inner[2], whole[2];
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, loop));
	for (int i = 0; i < 2; i++)
		send_files(loop[i], i ? "from 1" : "from 0", loop, 2);
	close(loop[1]);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, nest));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, whole));
	send_text(whole[0], "in the whole pair");
	send_text(inner[0], "in the inner one");
	send_files(inner[0], "pair", whole, 2);
	send_files(nest[0], "inner", &inner[1], 1);
	close(inner[1]);
	close(whole[0]);
	close(whole[1]);
	char dir[256];
	snprintf(dir, sizeof(dir), "%s.gone", scenario_out_path);
	must(mkdir(dir, 0755));
	must(chdir(dir));
	struct address relative = path_address("r");
	int server = bound_socket(SOCK_DGRAM, relative), client = connected_socket(SOCK_DGRAM, relative);
	must(unlink("r"));
	must(chdir("/"));
	must(rmdir(dir));
	ready();
	wait_for_trigger();
	int got[2], again[2];
	receive_files("first", loop[0], "from 1", got, 2);
	receive_files("second", got[1], "from 0", again, 2);
	expect_talk("through what came", again[0], again[1]);
	receive_files("socket in a socket", nest[1], "inner", got, 1);
	char text[16] = { 0 };
	must_be(read(got[0], text, 16) == 16);
	expect_bytes("what waited in it", "in the inner one", text, 16);
	receive_files("pair in it", got[0], "pair", again, 2);
	expect_message("what waited in the pair", again[1], "in the whole pair");
	expect_talk("the pair", again[0], again[1]);
	expect_talk("inner pair", got[0], inner[0]);
	expect_name("deleted relative name", server, relative);
	send_text(client, "by its file");
	expect_message("deleted relative name", server, "by its file");
	expect("no directory", -1, access(dir, F_OK));
	pass();
}
