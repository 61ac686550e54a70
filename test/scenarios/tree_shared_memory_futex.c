// SPDX-License-Identifier: GPL-2.0-only
// Mutexes and a condition variable in shared memory between processes: one held by a child while its parent is blocked in
// lock, and waiters in a wait. All go on as they should.
// @cflags -pthread
#include "tree.h"
#include <pthread.h>

struct common { pthread_mutex_t held, lock; pthread_cond_t news; int turn, waiting; } *common;

static void holder(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&common->held);
	arrive_and_wait();
	common->turn = 1;
	pthread_mutex_unlock(&common->held);
}

static void blocked(void *arg)
{
	(void)arg;
	arrive();
	pthread_mutex_lock(&common->held);
	expect("turn", 1, common->turn);
	common->turn = 2;
	pthread_mutex_unlock(&common->held);
}

static void waiter(void *arg)
{
	(void)arg;
	arrive();
	pthread_mutex_lock(&common->lock);
	common->waiting++;
	while (common->turn != 3)
		pthread_cond_wait(&common->news, &common->lock);
	common->waiting--;
	pthread_mutex_unlock(&common->lock);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	common = shared_memory(PAGE);
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&common->held, &mutex);
	pthread_mutex_init(&common->lock, &mutex);
	pthread_cond_init(&common->news, &cond);
	pid_t children[4] = { start_child(holder, NULL), start_child(blocked, NULL) };
	for (int i = 2; i < 4; i++)
		children[i] = start_child(waiter, NULL);
	while (__atomic_load_n(&common->waiting, __ATOMIC_SEQ_CST) < 2)
		usleep(1000);
	for (int i = 1; i < 4; i++)
		await_asleep(children[i]);
	ready();
	wait_for_trigger();
	expect("waiting", 2, common->waiting);
	check_child(children[0]);
	expect_exit(children[1], 0);
	expect("turn", 2, common->turn);
	pthread_mutex_lock(&common->lock);
	common->turn = 3;
	pthread_cond_broadcast(&common->news);
	pthread_mutex_unlock(&common->lock);
	for (int i = 2; i < 4; i++)
		expect_exit(children[i], 0);
	expect("waiting", 0, common->waiting);
	pass();
}
