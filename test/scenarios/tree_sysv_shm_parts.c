// SPDX-License-Identifier: GPL-2.0-only
// A removed System V segment of another user's, locked, in parts: attached as a whole, read-only by a second attachment that
// lacks its middle, with a page of a third that was moved; executable code in a segment of its own. Only one number of each.
// @skip-peer CRIU 4.1.1 refuses it outside of an IPC namespace of the tree's own
#include "tree.h"
#include <sys/shm.h>

enum { PAGES = 6, SIZE = PAGES * PAGE - 200, OWNER = 1234, GROUP = 4321 };

static int id;
static struct shmid_ds info;

static void expect_info(int attached)
{
	must(shmctl(id, IPC_STAT, &info));
	expect("attached", attached, info.shm_nattch);
	expect("size", SIZE, info.shm_segsz);
	expect("mode", 0640 | SHM_DEST | SHM_LOCKED, info.shm_perm.mode);
	expect("uid", OWNER + 1, info.shm_perm.uid);
	expect("gid", GROUP, info.shm_perm.gid);
	expect("creator's uid", OWNER, info.shm_perm.cuid);
	expect("creator's gid", GROUP, info.shm_perm.cgid);
	expect("creator", getpid(), info.shm_cpid);
	expect("key", 0, info.shm_perm.__key);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(setegid(GROUP));
	must(seteuid(OWNER));
	id = must(shmget(0x9a27, SIZE, IPC_CREAT | IPC_EXCL | 0600));
	must(seteuid(0));
	must(setegid(0));
	must(shmctl(id, IPC_STAT, &info));
	info.shm_perm.uid = OWNER + 1;
	info.shm_perm.mode = 0640;
	must(shmctl(id, IPC_SET, &info));
	must(shmctl(id, SHM_LOCK, NULL));

	char *whole = must(shmat(id, NULL, 0));
	char *holed = must(shmat(id, NULL, SHM_RDONLY));
	char *moved = must(shmat(id, NULL, 0));
	fill(whole, SIZE - PAGE, 9);
	char *place = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must_be(place != MAP_FAILED);
	must_be(mremap(moved + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
	must(shmctl(id, IPC_RMID, NULL));

	int code = must(shmget(IPC_PRIVATE, PAGE, 0700));
	unsigned char *function = must(shmat(code, NULL, SHM_EXEC));
	memcpy(function, "\xb8\x2a\0\0\0\xc3", 6); // mov $42, %eax; ret
	must(shmctl(code, IPC_RMID, NULL));
	// Holes come last: what is mapped behind them may fill them.
	must(munmap(holed + 2 * PAGE, 2 * PAGE));
	must(munmap(moved, PAGE));
	must(munmap(moved + 2 * PAGE, (PAGES - 2) * PAGE));
	int parts = 4;
	expect_info(parts);

	ready();
	wait_for_trigger();
	expect_info(parts);
	expect_fill("data", whole, SIZE - PAGE, 9);
	expect_bytes("data by the second attachment, start", whole, holed, 2 * PAGE);
	expect_bytes("data by the second attachment, end", whole + 4 * PAGE, holed + 4 * PAGE, 2 * PAGE);
	expect_bytes("data by the moved page", whole + PAGE, place, PAGE);
	place[7] = whole[PAGE + 7] + 1;
	expect("write through the moved page", place[7], whole[PAGE + 7]);
	unsigned char there;
	must_be(mincore(holed + 2 * PAGE, PAGE, &there) == -1 && errno == ENOMEM);
	must_be(mincore(moved, PAGE, &there) == -1 && errno == ENOMEM);
	must_be(mprotect(holed, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
	expect("code in a segment", 42, ((int (*)(void))function)());
	must(shmdt(whole));
	must(shmdt(holed));
	expect_info(1);
	pass();
}
