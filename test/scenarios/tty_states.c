// SPDX-License-Identifier: GPL-2.0-only
// Ptys in many states: owner and mode, two descriptions of one slave, packet mode, exclusive, locked settings, locked pty, a
// slave never opened, one closed again; none becomes anybody's controlling terminal.
// @skip-peer the original loses TIOCEXCL of slaves
#include "pty.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int owned = open_master(0), owned_slave = open_slave(owned, O_NOCTTY), second = open_slave(owned, O_NOCTTY | O_NONBLOCK);
	must(fchown(owned_slave, 13333, 44444));
	must(fchmod(owned_slave, 0640));
	int on = 1, packets = open_master(0), packets_slave = open_slave(packets, O_NOCTTY);
	must(ioctl(packets, TIOCPKT, &on));
	int exclusive = open_master(0), exclusive_slave = open_slave(exclusive, O_NOCTTY);
	must(ioctl(exclusive_slave, TIOCEXCL));
	struct termios locks = { .c_lflag = ECHO, .c_cc = { [VERASE] = 1 } }, got;
	int locked = open_master(0), locked_slave = open_slave(locked, O_NOCTTY);
	must(ioctl(locked_slave, TIOCSLCKTRMIOS, &locks));
	int closed = open_master(0);
	close(open_slave(closed, O_NOCTTY));
	int fresh = must(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	ready();
	wait_for_trigger();
	struct stat st;
	must(fstat(owned_slave, &st));
	expect("owner", 13333, st.st_uid);
	expect("group", 44444, st.st_gid);
	expect("mode", S_IFCHR | 0640, st.st_mode);
	must_be(write(owned, "first\nsecond\n", 13) == 13);
	expect_read("line of one description", owned_slave, "first\n");
	expect_read("line of the other", second, "second\n");
	expect("flags of the first", 0, must(fcntl(owned_slave, F_GETFL)) & O_NONBLOCK);
	expect("flags of the other", O_NONBLOCK, must(fcntl(second, F_GETFL)) & O_NONBLOCK);
	expect("session of it", -1, tcgetsid(owned_slave));
	expect("its errno", ENOTTY, errno);

	char text[16];
	must_be(write(packets_slave, "x", 1) == 1);
	await_input(packets);
	expect("length of a packet", 2, read(packets, text, sizeof(text)));
	expect("its status", TIOCPKT_DATA, text[0]);
	int value;
	must(ioctl(exclusive_slave, TIOCGEXCL, &value));
	expect("exclusive", 1, value);
	must(ioctl(locked_slave, TIOCGLCKTRMIOS, &got));
	expect("locked modes", ECHO, got.c_lflag);
	expect("locked character", 1, got.c_cc[VERASE]);
	must(tcgetattr(locked_slave, &got));
	must_be(got.c_lflag & ECHO);
	expect("hang-up of the one whose slave is closed", POLLHUP, events(closed, POLLIN) & POLLHUP);
	expect("none of the one never opened", 0, events(fresh, POLLIN));
	must(ioctl(fresh, TIOCGPTLCK, &value));
	expect("lock", 1, value);
	value = 0;
	must(ioctl(fresh, TIOCSPTLCK, &value));
	int late = open_slave(fresh, O_NOCTTY);
	must_be(write(fresh, "late\n", 5) == 5);
	expect_read("line", late, "late\n");
	pass();
}
