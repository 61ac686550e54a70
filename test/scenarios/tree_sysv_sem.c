// SPDX-License-Identifier: GPL-2.0-only
// System V semaphores of the host's IPC namespace: ten with values of their own, found by id and key, and used by parent and
// child.
#include "tree.h"
#include <sys/sem.h>

enum { N = 10, KEY = 0x5e3a };
static int id;

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	for (int i = 0; i < N; i++)
		expect("value in the child", i * 3 % 8, semctl(id, i, GETVAL));
	must(semop(id, (struct sembuf[]){ { 1, -3, IPC_NOWAIT }, { 2, 4, IPC_NOWAIT } }, 2));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	id = must(semget(KEY, N, IPC_CREAT | IPC_EXCL | 0777));
	for (int i = 0; i < N; i++)
		must(semctl(id, i, SETVAL, i * 3 % 8));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	expect("id by the key", id, semget(KEY, 0, 0));
	check_child(child);
	expect("value that the child took from", 0, semctl(id, 1, GETVAL));
	expect("value that the child added to", 10, semctl(id, 2, GETVAL));
	must(semop(id, &(struct sembuf){ 1, 0, IPC_NOWAIT }, 1));
	expect("one too many", -1, semop(id, &(struct sembuf){ 1, -1, IPC_NOWAIT }, 1));
	expect("its errno", EAGAIN, errno);
	must(semctl(id, 0, IPC_RMID));
	pass();
}
