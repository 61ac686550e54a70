// SPDX-License-Identifier: GPL-2.0-only
// @skip-mode pipe criu has its terminal as standard input, which is the pipe here
// A program with its stdio on the terminal of a shell's session (--shell-job): terminal and session are those of the new shell.
// @needs tty
// @options --shell-job
#include "scenario.h"
#include <termios.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must_be(isatty(0) && isatty(1) && isatty(2));
	must_be(getsid(0) != getpid());
	struct termios settings;
	must(tcgetattr(0, &settings));
	settings.c_lflag &= ~ECHO;
	must(tcsetattr(0, TCSANOW, &settings));
	ready();
	wait_for_trigger();
	must_be(isatty(0) && isatty(1) && isatty(2));
	must_be(write(1, "text for the terminal\n", 22) == 22);
	struct stat a, b;
	must(fstat(0, &a));
	must(fstat(2, &b));
	expect("same terminal", a.st_rdev, b.st_rdev);
	int tty = must(open("/dev/tty", O_RDWR));
	expect("session of the terminal", getsid(0), tcgetsid(tty));
	must(tcgetattr(0, &settings));
	expect("ECHO", 0, settings.c_lflag & ECHO);
	pass();
}
