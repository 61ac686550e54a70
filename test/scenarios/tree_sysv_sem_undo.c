// SPDX-License-Identifier: GPL-2.0-only
// Children that hold System V semaphores of two sets by SEM_UNDO, or have raised them: the values are the same after the
// restore, and are given back when each child ends, then and not before.
// @skip-peer CRIU 4.1.1 does not keep undo values
#include "tree.h"
#include <sys/sem.h>

static int id, other;

static void expect_values(const char *when, int first, int second, int third, int fourth)
{
	const int wanted[] = { first, second, third };
	for (int i = 0; i < 3; i++)
		expect(when, wanted[i], semctl(id, i, GETVAL));
	expect(when, fourth, semctl(other, 0, GETVAL));
}

static void run(void *arg)
{
	struct sembuf low[] = { { 0, -3, SEM_UNDO }, { 1, 2, SEM_UNDO }, { 2, -1, SEM_UNDO } };
	must(arg ? semop(id, low, 3) : semop(other, &(struct sembuf){ 0, -32767, SEM_UNDO }, 1));
	arrive_and_wait();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	id = must(semget(IPC_PRIVATE, 3, 0600));
	other = must(semget(IPC_PRIVATE, 1, 0600));
	must(semctl(id, 0, SETVAL, 5));
	must(semctl(id, 2, SETVAL, 32767));
	must(semctl(other, 0, SETVAL, 32767));
	pid_t low = start_child(run, &id), all = start_child(run, NULL);
	must(semop(id, &(struct sembuf){ 2, -2, SEM_UNDO }, 1));
	must(semop(id, &(struct sembuf){ 2, 2, SEM_UNDO }, 1));
	ready();
	wait_for_trigger();
	expect_values("value", 2, 2, 32766, 0);
	check_child(low);
	expect_values("value after the first child's end", 5, 0, 32767, 0);
	check_child(all);
	expect_values("value after both children's ends", 5, 0, 32767, 32767);
	must(semctl(id, 0, IPC_RMID));
	must(semctl(other, 0, IPC_RMID));
	pass();
}
