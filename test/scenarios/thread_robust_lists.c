// SPDX-License-Identifier: GPL-2.0-only
// Robust futex lists of all threads: the C library's addresses, an own list, and a mutex whose holder dies after the restore.
// @cflags -pthread
#include "threads.h"

enum { N = 3 };
static pthread_mutex_t mutex;
static pid_t tids[N + 1];
static struct robust_list_head *heads[N + 1], own = { .list.next = &own.list };

static void *run(void *arg)
{
	long i = (long)arg;
	tids[i] = own_tid();
	if (i == 0)
		must_be(pthread_mutex_lock(&mutex) == 0);
	if (i == 1)
		must(syscall(SYS_set_robust_list, &own, sizeof(own)));
	arrive_and_wait();
	return NULL; // thread 0 leaves with the mutex held
}

static struct robust_list_head *read_head(pid_t tid)
{
	struct robust_list_head *head = NULL;
	size_t size = 0;
	must(syscall(SYS_get_robust_list, tid, &head, &size));
	expect("size of a robust list's head", sizeof(*head), size);
	return head;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_mutexattr_t attr;
	must_be(pthread_mutexattr_init(&attr) == 0);
	must_be(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	must_be(pthread_mutex_init(&mutex, &attr) == 0);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	tids[N] = own_tid();
	wait_for_value(&arrived_count, N);
	for (int i = 0; i <= N; i++)
		heads[i] = read_head(tids[i]);
	expect("own list", (long)&own, (long)heads[1]);
	ready();
	wait_for_trigger();
	for (int i = 0; i <= N; i++)
		expect("robust list", (long)heads[i], (long)read_head(tids[i]));
	expect("held mutex", EBUSY, pthread_mutex_trylock(&mutex));
	set_value(&released_word, 1);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	expect("mutex of a dead holder", EOWNERDEAD, pthread_mutex_lock(&mutex));
	pass();
}
