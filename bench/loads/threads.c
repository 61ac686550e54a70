// SPDX-License-Identifier: GPL-2.0-only
// threads COUNT: that many threads besides the first, each asleep with a number of its own on its stack.
#include "target.h"
#include <pthread.h>

static size_t count;
static volatile int woken;
static size_t right;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_there = PTHREAD_COND_INITIALIZER, go_on = PTHREAD_COND_INITIALIZER;
static size_t there;

static void *sleep_and_check(void *number)
{
	volatile uint64_t own = noise((size_t)number);

	need(pthread_mutex_lock(&lock) == 0, "lock");
	there++;
	pthread_cond_signal(&all_there);
	while (!woken)
		pthread_cond_wait(&go_on, &lock);
	right += own == noise((size_t)number);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static pthread_t *threads;

static int check(void)
{
	pthread_mutex_lock(&lock);
	woken = 1;
	pthread_cond_broadcast(&go_on);
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < count; i++)
		if (pthread_join(threads[i], NULL) != 0)
			return 0;
	return right == count;
}

int main(int argc, char **argv)
{
	count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	threads = calloc(count, sizeof(*threads));
	need(threads != NULL, "calloc");
	pthread_attr_t small;
	need(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 64 * 1024) == 0, "stack size");
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0, "pthread_sigmask");
	for (size_t i = 0; i < count; i++)
		need(pthread_create(threads + i, &small, sleep_and_check, (void *)i) == 0, "pthread_create");
	pthread_mutex_lock(&lock);
	while (there < count)
		pthread_cond_wait(&all_there, &lock);
	pthread_mutex_unlock(&lock);
	tell_ready();
	wait_and_check(check);
}
