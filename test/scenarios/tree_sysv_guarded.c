// SPDX-License-Identifier: GPL-2.0-only
// Two children fill a System V shared memory segment again and again under a semaphore, while the root checks and spoils it
// under the same: nobody ever sees a half-written segment.
// @busy children
// @trigger file
// @skip-peer CRIU 4.1.1 refuses it outside of an IPC namespace of the tree's own
// @may-differ (proc/\d+/)?(stat/(state|blocked)|status/(State|SigBlk)) they run
// @skip-mode snapshot whoever had the semaphore when the test ended the tree has it for ever
#include "tree.h"
#include <sys/sem.h>
#include <sys/shm.h>

enum { SIZE = 40960, N = 2 };
static int lock;

static void change(int by)
{
	while (semop(lock, &(struct sembuf){ 0, by, 0 }, 1) < 0)
		must_be(errno == EINTR);
}

static unsigned char sum_of(const unsigned char *data)
{
	unsigned char sum = 0;
	for (int i = 0; i < SIZE - 1; i++)
		sum += data[i];
	return sum;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	char path[512];
	snprintf(path, sizeof(path), "%s.go", scenario_out_path);
	int id = must(shmget(IPC_PRIVATE, SIZE, 0600));
	lock = must(semget(IPC_PRIVATE, 1, 0600));
	must(semctl(lock, 0, SETVAL, 1));
	unsigned char *data = must(shmat(id, NULL, 0));
	memset(data, 0, SIZE);
	pid_t children[N];
	for (int k = 0; k < N; k++) {
		children[k] = must(fork());
		for (uint64_t seed = k + 1; children[k] == 0; seed += N) {
			change(-1);
			fill(data, SIZE - 1, seed);
			data[SIZE - 1] = sum_of(data);
			change(1);
			if (access(path, F_OK) == 0)
				_exit(0);
		}
	}
	ready();
	for (int rounds = 0; rounds < 200 || access(path, F_OK) < 0; rounds++) {
		change(-1);
		if (data[0] != 0xac || data[SIZE - 2] != 0xac)
			expect("sum", sum_of(data), data[SIZE - 1]);
		memset(data, 0xac, SIZE);
		change(1);
	}
	for (int k = 0; k < N; k++)
		expect_exit(children[k], 0);
	must(shmdt(data));
	must(shmctl(id, IPC_RMID, NULL));
	must(semctl(lock, 0, IPC_RMID));
	pass();
}
