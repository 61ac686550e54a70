// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a System V segment that a process outside of the tree has attached as well; both go on unharmed.
// @expect refused SYSV_SHM
// @expect-text outside of the tree
#include "tree.h"
#include <sys/shm.h>

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	int id = must(shmget(IPC_PRIVATE, 4 * PAGE, IPC_CREAT | 0600));
	volatile char *at = must(shmat(id, NULL, 0));
	must(shmctl(id, IPC_RMID, NULL));
	pid_t between = must(fork());
	if (between == 0) {
		if (fork() != 0)
			_exit(0);
		// An orphan: nobody's in the tree. It ends with the pipe.
		char byte;
		close(ends[1]);
		at[5] = 1;
		while (read(ends[0], &byte, 1) > 0)
			at[6] = byte;
		at[7] = 3;
		_exit(0);
	}
	expect_exit(between, 0);
	close(ends[0]);
	while (at[5] != 1)
		usleep(500);
	// The pipe alone would do as a reason.
	ready();
	wait_for_trigger();
	must_be(write(ends[1], "x", 1) == 1);
	close(ends[1]);
	while (at[7] != 3)
		usleep(500);
	expect("byte of the orphan", 'x', at[6]);
	pass();
}
