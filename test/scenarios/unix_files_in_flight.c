// SPDX-License-Identifier: GPL-2.0-only
// Files on their way through sockets: such that nobody has open, such that somebody has, several in one message, from a
// socket that's closed.
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int lost[2], kept[2], both[2], orphan[2], pipes[4][2];
	for (int i = 0; i < 4; i++)
		must(pipe(pipes[i]));
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, lost));
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, kept));
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, both));
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, orphan));
	send_files(lost[0], "a", &pipes[0][0], 1);
	close(pipes[0][0]);
	must(dup2(pipes[0][1], pipes[0][0]));
	close(pipes[0][1]);
	send_files(kept[0], "b", &pipes[1][0], 1);
	send_files(both[0], "c", pipes[2], 2);
	close(pipes[2][0]);
	close(pipes[2][1]);
	send_files(orphan[0], "d", &pipes[3][0], 1);
	close(pipes[3][0]);
	close(orphan[0]);
	ready();
	wait_for_trigger();
	int got, two[2];
	char text[16] = { 0 };
	receive_files("file that nobody has", lost[1], "a", &got, 1);
	must_be(write(pipes[0][0], "through", 7) == 7);
	must_be(read(got, text, 15) == 7);
	receive_files("file that somebody has", kept[1], "b", &got, 1);
	must_be(got != pipes[1][0]);
	must_be(write(pipes[1][1], "12", 2) == 2);
	must_be(read(got, text, 1) == 1 && text[0] == '1');
	must_be(read(pipes[1][0], text, 1) == 1 && text[0] == '2');
	receive_files("whole pipe", both[1], "c", two, 2);
	must_be(write(two[1], "in", 2) == 2 && read(two[0], text, 2) == 2);
	receive_files("from a closed socket", orphan[1], "d", &got, 1);
	must_be(write(pipes[3][1], "in", 2) == 2 && read(got, text, 2) == 2);
	pass();
}
