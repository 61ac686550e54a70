// SPDX-License-Identifier: GPL-2.0-only
// Slaves that were hung up: their master is gone, their names too.
// @may-differ fd/\d+/link the number of a terminal that's gone
#include "pty.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	signal(SIGHUP, SIG_IGN);
	int master = open_master(0), slave = open_slave(master, O_NOCTTY), other = open_slave(master, O_NOCTTY);
	must(ioctl(slave, TIOCSCTTY, 0));
	must(close(master));
	expect("read", 0, read(slave, &master, 1));
	signal(SIGHUP, SIG_DFL);
	ready();
	wait_for_trigger();
	char byte;
	for (int i = 0; i < 2; i++) {
		int fd = i ? other : slave;
		expect("read of a hung-up one", 0, read(fd, &byte, 1));
		expect("write", -1, write(fd, "x", 1));
		expect("its errno", EIO, errno);
		must(close(fd));
	}
	expect("open of /dev/tty", -1, open("/dev/tty", O_RDWR));
	expect("its errno", ENXIO, errno);
	pass();
}
