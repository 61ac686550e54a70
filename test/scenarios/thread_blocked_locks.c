// SPDX-License-Identifier: GPL-2.0-only
// Threads blocked on a mutex, one that inherits priority, a read-write lock, a barrier, a semaphore and a condition variable.
// @cflags -pthread
#include "threads.h"
#include <semaphore.h>

enum { N = 7 };
static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, inheriting, guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static unsigned passed;
static int signalled;

static void *run(void *arg)
{
	long i = (long)arg;
	arrive();
	int error = 0;
	if (i == 0)
		error = pthread_mutex_lock(&plain) ?: pthread_mutex_unlock(&plain);
	else if (i == 1)
		error = pthread_mutex_lock(&inheriting) ?: pthread_mutex_unlock(&inheriting);
	else if (i == 2)
		error = pthread_rwlock_rdlock(&lock) ?: pthread_rwlock_unlock(&lock);
	else if (i == 3)
		error = pthread_rwlock_wrlock(&lock) ?: pthread_rwlock_unlock(&lock);
	else if (i == 4)
		error = pthread_barrier_wait(&barrier);
	else if (i == 5)
		error = sem_wait(&semaphore);
	if (i == 6) {
		must_be(pthread_mutex_lock(&guard) == 0);
		while (!signalled)
			must_be(pthread_cond_wait(&condition, &guard) == 0);
		must_be(pthread_mutex_unlock(&guard) == 0);
	}
	must_be(error == 0 || error == PTHREAD_BARRIER_SERIAL_THREAD);
	__atomic_or_fetch(&passed, 1u << i, __ATOMIC_SEQ_CST);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_mutexattr_t attr;
	must_be(pthread_mutexattr_init(&attr) == 0);
	must_be(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0);
	must_be(pthread_mutex_init(&inheriting, &attr) == 0);
	must_be(pthread_barrier_init(&barrier, NULL, 2) == 0);
	must(sem_init(&semaphore, 0, 0));
	must_be(pthread_mutex_lock(&plain) == 0);
	must_be(pthread_mutex_lock(&inheriting) == 0);
	must_be(pthread_rwlock_wrlock(&lock) == 0);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	struct timespec ms = { 0, 20000000 };
	nanosleep(&ms, NULL);
	expect("threads that got through too early", 0, __atomic_load_n(&passed, __ATOMIC_SEQ_CST));
	must_be(pthread_mutex_unlock(&plain) == 0);
	must_be(pthread_mutex_unlock(&inheriting) == 0);
	must_be(pthread_rwlock_unlock(&lock) == 0);
	int got = pthread_barrier_wait(&barrier);
	must_be(got == 0 || got == PTHREAD_BARRIER_SERIAL_THREAD);
	must(sem_post(&semaphore));
	must_be(pthread_mutex_lock(&guard) == 0);
	signalled = 1;
	must_be(pthread_cond_signal(&condition) == 0);
	must_be(pthread_mutex_unlock(&guard) == 0);
	for (int i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
