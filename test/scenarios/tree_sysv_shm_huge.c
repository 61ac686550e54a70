// SPDX-License-Identifier: GPL-2.0-only
// A System V shared memory segment of huge pages, made with a key, keeps content, id and kind of page.
// @needs hugetlb
// @skip-peer CRIU 4.1.1 refuses it outside of an IPC namespace of the tree's own
#include "tree.h"
#include <sys/shm.h>

enum { SIZE = 4 << 20, KEY = 0x4065 };

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int id = shmget(KEY, SIZE, IPC_CREAT | IPC_EXCL | SHM_HUGETLB | 0600);
	if (id < 0)
		skip("SHM_HUGETLB: %s", strerror(errno));
	char *map = must(shmat(id, NULL, 0));
	fill(map, PAGE, 1);
	fill(map + SIZE - PAGE, PAGE, 2);
	ready();
	wait_for_trigger();
	expect("id by the key", id, shmget(KEY, 0, 0));
	expect_fill("start", map, PAGE, 1);
	expect_fill("end", map + SIZE - PAGE, PAGE, 2);
	must(shmdt(map));
	must(shmctl(id, IPC_RMID, NULL));
	pass();
}
