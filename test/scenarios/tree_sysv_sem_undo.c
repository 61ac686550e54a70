// SPDX-License-Identifier: GPL-2.0-only
// A child that holds a System V semaphore by SEM_UNDO: the value is the same after the restore, and is given back when the
// child ends, then and not before.
// @skip-ours undo values are not kept, as in the original
// @skip-peer CRIU 4.1.1 does not keep undo values
#include "tree.h"
#include <sys/sem.h>

static int id;

static void run(void *arg)
{
	(void)arg;
	must(semop(id, &(struct sembuf){ 0, -3, SEM_UNDO }, 1));
	arrive_and_wait();
	expect("value in the child", 2, semctl(id, 0, GETVAL));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	id = must(semget(IPC_PRIVATE, 1, 0600));
	must(semctl(id, 0, SETVAL, 5));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	expect("value", 2, semctl(id, 0, GETVAL));
	check_child(child);
	expect("value after the child's end", 5, semctl(id, 0, GETVAL));
	must(semctl(id, 0, IPC_RMID));
	pass();
}
