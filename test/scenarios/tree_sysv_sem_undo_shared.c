// SPDX-License-Identifier: GPL-2.0-only
// A process and its child that give back System V semaphores together (clone CLONE_SYSVSEM), a thread besides: nothing is
// given back before both have ended.
// @cflags -pthread
// @skip-peer CRIU 4.1.1 does not keep undo values
#include "tree.h"
#include <pthread.h>
#include <sys/sem.h>

static int id;

static void *idle(void *arg)
{
	pause();
	return arg;
}

static void hold(void *arg)
{
	(void)arg;
	must(semop(id, &(struct sembuf){ 0, -1, SEM_UNDO }, 1));
	arrive_and_wait();
}

static void run(void *arg)
{
	(void)arg;
	pthread_t thread;
	must_be(pthread_create(&thread, NULL, idle, NULL) == 0);
	must(semop(id, &(struct sembuf){ 0, -1, SEM_UNDO }, 1));
	pid_t child = start_child_by(CLONE_SYSVSEM | SIGCHLD, hold, NULL);
	arrive_and_wait();
	check_child(child);
	expect("value after the child's end", 3, semctl(id, 0, GETVAL));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	id = must(semget(IPC_PRIVATE, 1, 0600));
	must(semctl(id, 0, SETVAL, 5));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	expect("value", 3, semctl(id, 0, GETVAL));
	check_child(child);
	expect("value after both ends", 5, semctl(id, 0, GETVAL));
	must(semctl(id, 0, IPC_RMID));
	pass();
}
