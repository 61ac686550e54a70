// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a lock (flock) that a process outside of the tree holds with it, by name.
// @options --file-locks
// @expect refused FILE_LOCKS
// @expect-text outside of the tree
#include "scenario.h"
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

// The tree's root is a child that goes on in the place of main; its maker took the lock and stays outside: it is an orphan
// that has left before the dump.
int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT, 0600));
	int gate[2], stay[2];
	must(pipe(gate));
	must(pipe(stay));
	pid_t between = must(fork());
	if (between == 0) {
		if (must(fork()) > 0)
			_exit(0);
		must(setsid());
		must(flock(fd, LOCK_EX));
		must(close(stay[1]));
		char byte;
		if (write(gate[1], "x", 1) == 1)
			(void)!read(stay[0], &byte, 1);
		_exit(0);
	}
	must(waitpid(between, NULL, 0));
	char byte;
	must_be(read(gate[0], &byte, 1) == 1);
	ready();
	wait_for_trigger();
	int other = must(open("file", O_RDWR));
	expect("second lock", -1, flock(other, LOCK_EX | LOCK_NB));
	must(close(stay[1]));
	pass();
}
