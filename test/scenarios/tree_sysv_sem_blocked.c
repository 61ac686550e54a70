// SPDX-License-Identifier: GPL-2.0-only
// A child blocked in semop on a System V semaphore goes on to wait, and through once its parent adds to the value.
#include "tree.h"
#include <sys/sem.h>

static int id;

static void run(void *arg)
{
	(void)arg;
	arrive();
	while (semop(id, &(struct sembuf){ 0, -2, 0 }, 1) < 0) // restarted after a stop by the kernel or, with EINTR, here
		must_be(errno == EINTR);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	id = must(semget(IPC_PRIVATE, 1, 0600));
	pid_t child = start_child(run, NULL);
	await_asleep(child);
	ready();
	wait_for_trigger();
	expect("waiters", 1, semctl(id, 0, GETNCNT));
	must(semop(id, &(struct sembuf){ 0, 1, 0 }, 1));
	usleep(20000);
	expect("child that still waits", 0, waitpid(child, NULL, WNOHANG));
	must(semop(id, &(struct sembuf){ 0, 1, 0 }, 1));
	expect_exit(child, 0);
	expect("value", 0, semctl(id, 0, GETVAL));
	must(semctl(id, 0, IPC_RMID));
	pass();
}
