// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a stream whose other end a process outside of the tree has, which is named with the way out.
// @expect refused UNIX_OUTSIDE
// @expect-text outside of the tree
// @expect-text (refused_unix_ou)
// @expect-text --external unix[
// @expect-text --inherit-fd fd[N]:socket:[
#include "unix.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	// Its child is an orphan at once, so it isn't in the tree.
	if (must(fork()) == 0) {
		close(ends[0]);
		if (setsid() < 0 || fork() > 0)
			_exit(0);
		char byte;
		while (read(ends[1], &byte, 1) == 1)
			if (write(ends[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	must(waitpid(-1, NULL, 0));
	ready();
	wait_for_trigger();
	char byte;
	must_be(write(ends[0], "x", 1) == 1 && read(ends[0], &byte, 1) == 1);
	pass();
}
