// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for an attached System V shared memory segment, and the program goes on unharmed.
// @expect refused SYSV_SHM
#include "scenario.h"
#include <sys/shm.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int id = must(shmget(IPC_PRIVATE, 4 * PAGE, IPC_CREAT | 0600));
	char *at = must(shmat(id, NULL, 0));
	must(shmctl(id, IPC_RMID, NULL));
	fill(at, 4 * PAGE, 2);
	ready();
	wait_for_trigger();
	expect_fill("segment", at, 4 * PAGE, 2);
	pass();
}
