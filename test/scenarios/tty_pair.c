// SPDX-License-Identifier: GPL-2.0-only
// A pty of a session leader, its ends at other numbers than they were opened: controlling terminal, also as /dev/tty; unread
// lines; settings, size; the hang-up comes when the ends are closed, not before, and once.
#include "pty.h"

static volatile sig_atomic_t hangups;

static void on_hangup(int sig)
{
	(void)sig;
	hangups++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction action = { .sa_handler = on_hangup };
	must(sigaction(SIGHUP, &action, NULL));
	must_be(getsid(0) == getpid());
	int first = open_master(0), slave = open_slave(first, 0);
	int master = must(dup2(first, 101));
	close(first);
	must(dup2(slave, 100));
	close(slave);
	slave = 100;
	must(fcntl(master, F_SETFL, O_NONBLOCK));
	int tty = must(open("/dev/tty", O_RDWR));
	struct termios settings, now;
	must(tcgetattr(slave, &settings));
	settings.c_lflag &= ~ECHO;
	settings.c_cc[VERASE] = 'q';
	must(tcsetattr(slave, TCSANOW, &settings));
	struct winsize size = { 43, 132, 7, 9 };
	must(ioctl(master, TIOCSWINSZ, &size));
	for (int i = 0; i < 10; i++)
		must_be(write(master, "line x\n", 7) == 7);
	await_input(slave);
	int number = pty_number(master);
	ready();
	wait_for_trigger();
	expect("hang-ups so far", 0, hangups);
	expect("number", number, pty_number(master));
	for (int i = 0; i < 10; i++)
		expect_read("line", slave, "line x\n");
	must_be(write(master, "second\n", 7) == 7);
	expect_read("line through /dev/tty", tty, "second\n");
	expect("session", getsid(0), tcgetsid(slave));
	expect("foreground group", getpgrp(), tcgetpgrp(tty));
	struct stat st;
	must(fstat(tty, &st));
	expect("device of /dev/tty", 0x500, st.st_rdev);
	must(tcgetattr(tty, &now));
	expect("local modes", settings.c_lflag, now.c_lflag);
	expect("erase character", 'q', now.c_cc[VERASE]);
	struct winsize got;
	must(ioctl(slave, TIOCGWINSZ, &got));
	expect_bytes("size", &size, &got, sizeof(size));
	expect("O_NONBLOCK", O_NONBLOCK, must(fcntl(master, F_GETFL)) & O_NONBLOCK);
	must_be(write(slave, "out\n", 4) == 4);
	expect_read("output", master, "out\r\n");
	close(master);
	close(slave);
	close(tty);
	expect("hang-ups", 1, hangups);
	pass();
}
