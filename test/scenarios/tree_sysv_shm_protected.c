// SPDX-License-Identifier: GPL-2.0-only
// A System V shared memory segment of an odd size whose one attachment is split by mprotect: the first page is read-only.
// @skip-peer CRIU 4.1.1 refuses it outside of an IPC namespace of the tree's own
#include "tree.h"
#include <setjmp.h>
#include <sys/shm.h>

static sigjmp_buf jump;
static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(jump, 1);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int id = must(shmget(0x7e57, 2 * PAGE - 100, IPC_CREAT | IPC_EXCL | 0600));
	volatile char *map = must(shmat(id, NULL, 0));
	map[5] = 1;
	map[PAGE + 5] = 2;
	must(mprotect((void *)map, PAGE, PROT_READ));
	ready();
	wait_for_trigger();
	expect("byte of the first page", 1, map[5]);
	expect("byte of the second page", 2, map[PAGE + 5]);
	map[PAGE + 5] = 3;
	signal(SIGSEGV, on_fault);
	if (sigsetjmp(jump, 1) == 0) {
		map[5] = 9;
		fail("a write to the first page, wanted SIGSEGV, got none");
	}
	must(shmdt((void *)map));
	char *again = must(shmat(id, NULL, 0));
	expect("byte of the second page", 3, again[PAGE + 5]);
	must(shmdt(again));
	must(shmctl(id, IPC_RMID, NULL));
	pass();
}
