// SPDX-License-Identifier: GPL-2.0-only
// Pipes in packet mode (O_DIRECT), with and without a name, keep the borders of their packets, and the mode.
// @skip-peer the original refuses packet mode, and fills the pipes with streams
#include "scenario.h"

static void expect_packets(int fd)
{
	static char text[8192];
	for (int i = 1; i <= 5; i++)
		expect("size of the packet", i, read(fd, text, sizeof(text)));
	expect("the largest packet", 4096, read(fd, text, sizeof(text)));
	expect("the rest of it", 904, read(fd, text, sizeof(text)));
}

static void write_packets(int fd)
{
	static char large[5000];
	for (int i = 1; i <= 5; i++)
		must_be(write(fd, "packet", i) == i);
	must_be(write(fd, large, sizeof(large)) == sizeof(large));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2], late[2];
	must(pipe2(ends, O_DIRECT));
	write_packets(ends[1]);
	must(pipe2(late, O_NONBLOCK));
	must_be(write(late[1], "stream", 6) == 6);
	must_be(read(late[0], (char[8]){ 0 }, 6) == 6);
	must(fcntl(late[1], F_SETFL, O_DIRECT));
	must(mkfifo("fifo", 0600));
	int fifo = must(open("fifo", O_RDWR));
	must(fcntl(fifo, F_SETFL, O_DIRECT));
	write_packets(fifo);
	ready();
	wait_for_trigger();
	expect_packets(ends[0]);
	expect_packets(fifo);
	expect("flags of a write end", O_DIRECT, must(fcntl(ends[1], F_GETFL)) & (O_DIRECT | O_NONBLOCK));
	expect("flags of the late one", O_DIRECT, must(fcntl(late[1], F_GETFL)) & (O_DIRECT | O_NONBLOCK));
	expect("flags of its read end", O_NONBLOCK, must(fcntl(late[0], F_GETFL)) & (O_DIRECT | O_NONBLOCK));
	write_packets(ends[1]);
	write_packets(late[1]);
	write_packets(fifo);
	expect_packets(ends[0]);
	expect_packets(late[0]);
	expect_packets(fifo);
	pass();
}
