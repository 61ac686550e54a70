// SPDX-License-Identifier: GPL-2.0-only
// A System V shared memory segment that the tree made and nobody has attached: still there, with its content and id.
#include "tree.h"
#include <sys/shm.h>

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int id = must(shmget(0x5ca1e, 8 * PAGE, IPC_CREAT | IPC_EXCL | 0600));
	char *map = must(shmat(id, NULL, 0));
	fill(map, 8 * PAGE, 8);
	must(shmdt(map));
	ready();
	wait_for_trigger();
	expect("id by the key", id, shmget(0x5ca1e, 0, 0));
	map = must(shmat(id, NULL, 0));
	expect_fill("data", map, 8 * PAGE, 8);
	must(shmdt(map));
	must(shmctl(id, IPC_RMID, NULL));
	pass();
}
