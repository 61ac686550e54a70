// SPDX-License-Identifier: GPL-2.0-only
// System V shared memory of the host's IPC namespace, made by the root with a key: attached by the root and, elsewhere and
// read-only, by a child, it's one segment with the same id, key and content.
// @skip-peer CRIU 4.1.1 refuses it outside of an IPC namespace of the tree's own
#include "tree.h"
#include <sys/shm.h>

enum { SIZE = 40960, KEY = 0x5ca1ab1e };
static int id;
static char *map;

static void run(void *arg)
{
	(void)arg;
	must(shmdt(map));
	char *own = must(shmat(id, NULL, SHM_RDONLY));
	arrive_and_wait();
	expect_fill("data in the child", own, SIZE - PAGE, 4);
	expect("write of the root", 'r', own[SIZE - 1]);
	struct shmid_ds info;
	must(shmctl(id, IPC_STAT, &info));
	expect("attached", 2, info.shm_nattch);
	must(shmdt(own));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	id = must(shmget(KEY, SIZE, IPC_CREAT | IPC_EXCL | 0640));
	map = must(shmat(id, NULL, 0));
	fill(map, SIZE - PAGE, 4);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	expect("id by the key", id, shmget(KEY, 0, 0));
	map[SIZE - 1] = 'r';
	check_child(child);
	struct shmid_ds info;
	must(shmctl(id, IPC_STAT, &info));
	expect("attached", 1, info.shm_nattch);
	expect("size", SIZE, info.shm_segsz);
	expect("mode", 0640, info.shm_perm.mode & 0777);
	expect("creator", root_pid, info.shm_cpid);
	expect_fill("data", map, SIZE - PAGE, 4);
	char *again = must(shmat(id, NULL, 0));
	expect("byte by another attachment", 'r', again[SIZE - 1]);
	must(shmdt(again));
	must(shmdt(map));
	must(shmctl(id, IPC_RMID, NULL));
	expect("id by the key", -1, shmget(KEY, 0, 0));
	pass();
}
