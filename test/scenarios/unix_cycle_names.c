// SPDX-License-Identifier: GPL-2.0-only
// Sockets with names that are on their way in each other, a terminal with them: the kernel frees such circles late, and until then
// their names and the number of the terminal are in use, though nobody has them.
// @skip-peer CRIU 4.1.1 fails to dump a terminal that is on its way, and crashes when it restores one
#include "unix.h"
#include "pty.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct address names[2] = { abstract_address("circle"), path_address(beside("circle")) };
	int circle[2];
	for (int i = 0; i < 2; i++)
		circle[i] = bound_socket(SOCK_DGRAM, names[i]);
	int master = open_master(0), slave = open_slave(master, O_NOCTTY), number = pty_number(master);
	for (int i = 0; i < 2; i++) {
		int out = connected_socket(SOCK_DGRAM, names[i]);
		send_files(out, "files", (const int[]){ circle[!i], slave }, 2);
		close(out);
	}
	close(circle[1]);
	ready();
	wait_for_trigger();
	int got[2][2];
	receive_files("first", circle[0], "files", got[0], 2);
	receive_files("second", got[0][0], "files", got[1], 2);
	expect_name("abstract name", got[1][0], names[0]);
	expect_name("path", got[0][0], names[1]);
	expect("number of the terminal", number, pty_number(master));
	must_be(write(master, "typed\n", 6) == 6);
	expect_read("slave", got[0][1], "typed\n");
	pass();
}
