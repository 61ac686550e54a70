// SPDX-License-Identifier: GPL-2.0-only
// What waits unread in ptys: lines, some ended by an end of file, the beginning of one, control characters taken as they are;
// bytes of a raw terminal; output for masters, more of it than a line discipline holds; output that Ctrl-S has stopped.
// @skip-peer the original makes one line of all lines, and loses ends of files and stopped output
#include "pty.h"

#define LONG 9000

#define say(fd, text) must_be(write(fd, text, sizeof(text) - 1) == sizeof(text) - 1)

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static char data[LONG], got[LONG];
	int lines = open_master(0), lines_slave = open_slave(lines, O_NOCTTY);
	struct termios settings;
	must(tcgetattr(lines_slave, &settings));
	settings.c_lflag &= ~ECHO;
	must(tcsetattr(lines_slave, TCSANOW, &settings));
	say(lines, "one\n\ntwo\x16\x03!\nthree\004\004four\npar");
	await_input(lines_slave);

	int raw = open_master(0), raw_slave = open_slave(raw, O_NOCTTY);
	set_raw(raw_slave);
	say(raw, "a\r\nb\003\004\000c");
	await_input(raw_slave);

	int printer = open_master(0), printer_slave = open_slave(printer, O_NOCTTY);
	say(printer_slave, "done\n");

	int large = open_master(O_NONBLOCK), large_slave = open_slave(large, O_NOCTTY | O_NONBLOCK);
	set_raw(large_slave);
	fill(data, LONG, 7);
	must_be(write(large_slave, data, LONG) == LONG);

	int stopped = open_master(0), stopped_slave = open_slave(stopped, O_NOCTTY | O_NONBLOCK);
	say(stopped_slave, "before");
	say(stopped, "\x13");
	while (events(stopped_slave, POLLOUT))
		usleep(100);
	ready();
	wait_for_trigger();
	expect_read("first line", lines_slave, "one\n");
	expect_read("empty line", lines_slave, "\n");
	expect_read("quoted control character", lines_slave, "two\x03!\n");
	expect_read("line ended by an end of file", lines_slave, "three");
	expect_read("end of file", lines_slave, "");
	expect_read("line behind it", lines_slave, "four\n");
	expect("events at the beginning of a line", 0, events(lines_slave, POLLIN));
	say(lines, "tial\n");
	expect_read("line whose beginning was there", lines_slave, "partial\n");

	await_input(raw_slave);
	expect("bytes of the raw one", 8, read(raw_slave, got, 64));
	expect_bytes("raw", "a\r\nb\003\004\000c", got, 8);

	expect_read("output", printer, "done\r\n");
	int have = 0;
	while (have < LONG) {
		await_input(large);
		have += must(read(large, got + have, LONG - have));
	}
	expect_bytes("large output", data, got, LONG);

	expect_read("output before the stop", stopped, "before");
	expect("write to the stopped one", -1, write(stopped_slave, "x", 1));
	expect("its errno", EAGAIN, errno);
	say(stopped, "\x11");
	struct pollfd on = { stopped_slave, POLLOUT, 0 };
	must(poll(&on, 1, 10000));
	say(stopped_slave, "after\n");
	expect_read("output after it", stopped, "after\r\n");
	pass();
}
