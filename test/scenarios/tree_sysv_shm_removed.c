// SPDX-License-Identifier: GPL-2.0-only
// A System V shared memory segment that's marked for removal and lives on by its attachments, in parent and child: one
// object with its content, which nobody else can attach, and which is gone with its last attachment.
// @skip-peer CRIU 4.1.1 refuses it outside of an IPC namespace of the tree's own
#include "tree.h"
#include <sys/shm.h>

enum { SIZE = 10 * PAGE };
static char *map;

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect_fill("data in the child", map, SIZE / 2, 6);
	expect("write of the root", 'r', map[SIZE - 1]);
	map[SIZE - 2] = 'c';
	must(shmdt(map));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int id = must(shmget(IPC_PRIVATE, SIZE, 0600));
	map = must(shmat(id, NULL, 0));
	fill(map, SIZE / 2, 6);
	pid_t child = start_child(run, NULL);
	must(shmctl(id, IPC_RMID, NULL));
	ready();
	wait_for_trigger();
	map[SIZE - 1] = 'r';
	check_child(child);
	expect("write of the child", 'c', map[SIZE - 2]);
	expect_fill("data", map, SIZE / 2, 6);
	must(shmdt(map));
	unsigned char there;
	expect("what was detached", -1, mincore(map, PAGE, &there));
	pass();
}
