// SPDX-License-Identifier: GPL-2.0-only
// Pipes in packet mode (O_DIRECT), with and without a name, keep the borders of their packets, and the mode; packets
// stay what they are in pipes whose ends have become streams since.
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
	int ends[2], late[2], once[2];
	must(pipe2(ends, O_DIRECT));
	write_packets(ends[1]);
	must(pipe2(late, O_NONBLOCK));
	must_be(write(late[1], "stream", 6) == 6);
	must_be(read(late[0], (char[8]){ 0 }, 6) == 6);
	must(fcntl(late[1], F_SETFL, O_DIRECT));
	must(pipe2(once, O_DIRECT));
	write_packets(once[1]);
	must(fcntl(once[0], F_SETFL, 0));
	must(fcntl(once[1], F_SETFL, 0));
	must(mkfifo("fifo", 0600));
	int fifo = must(open("fifo", O_RDWR));
	must(fcntl(fifo, F_SETFL, O_DIRECT));
	write_packets(fifo);
	ready();
	wait_for_trigger();
	expect_packets(ends[0]);
	expect_packets(fifo);
	expect_packets(once[0]);
	must_be(write(once[1], "stream", 6) == 6);
	expect("a part of it", 2, read(once[0], (char[8]){ 0 }, 2));
	expect("the rest of it", 4, read(once[0], (char[8]){ 0 }, 8));
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
