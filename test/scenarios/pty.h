// SPDX-License-Identifier: GPL-2.0-only
// What scenarios with terminals share.
#ifndef PTY_H
#define PTY_H
#include "tree.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

// A new pty's master.
__attribute__((unused)) static int open_master(int flags)
{
	int zero = 0, master = must(open("/dev/ptmx", O_RDWR | O_NOCTTY | flags));
	must(ioctl(master, TIOCSPTLCK, &zero));
	return master;
}

__attribute__((unused)) static int pty_number(int master)
{
	int number;
	must(ioctl(master, TIOCGPTN, &number));
	return number;
}

// Opens the slave of a master by its name.
__attribute__((unused)) static int open_slave(int master, int flags)
{
	char name[32];
	snprintf(name, sizeof(name), "/dev/pts/%d", pty_number(master));
	return must(open(name, O_RDWR | flags));
}

__attribute__((unused)) static int events(int fd, int wanted)
{
	struct pollfd on = { fd, wanted, 0 };
	must(poll(&on, 1, 0));
	return on.revents;
}

// Waits until something can be read: what goes through a pty takes a moment.
__attribute__((unused)) static void await_input(int fd)
{
	struct pollfd on = { fd, POLLIN, 0 };
	must(poll(&on, 1, 10000));
	must_be(on.revents & POLLIN);
}

__attribute__((unused)) static void expect_read(const char *what, int fd, const char *text)
{
	char got[512] = "";
	size_t want = strlen(text), have = 0;
	if (want == 0) {
		expect(what, 0, read(fd, got, sizeof(got)));
		return;
	}
	while (have < want) {
		await_input(fd);
		ssize_t n = must(read(fd, got + have, sizeof(got) - have));
		if (n == 0)
			break;
		have += n;
		if (text[want - 1] == '\n')
			break; // lines come one by one
	}
	got[have] = 0;
	expect_text(what, text, got);
}

__attribute__((unused)) static void set_raw(int fd)
{
	struct termios settings;
	must(tcgetattr(fd, &settings));
	cfmakeraw(&settings);
	must(tcsetattr(fd, TCSANOW, &settings));
}
#endif
