// SPDX-License-Identifier: GPL-2.0-only
// Threads end one by one after the restore, by return, pthread_exit and cancellation, and each is joined with its result;
// a detached one ends as well, and cleanup handlers and key destructors run.
// @cflags -pthread
#include "threads.h"
#include <dirent.h>

static pthread_key_t key;
static unsigned cleaned, destroyed, turn;

static void on_cleanup(void *arg)
{
	cleaned += (long)arg;
}

static void on_destroy(void *arg)
{
	destroyed += (long)arg;
}

static void *run(void *arg)
{
	long i = (long)arg;
	must_be(pthread_setspecific(key, (void *)(1L << i)) == 0);
	pthread_cleanup_push(on_cleanup, (void *)(1L << (8 * i)));
	arrive();
	if (i == 2)
		for (;;)
			pause(); // a cancellation point
	wait_for_value(&turn, i + 1);
	if (i == 1)
		pthread_exit((void *)0x1111);
	pthread_cleanup_pop(0);
	return (void *)0x2222;
}

static int count_threads(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/task");
	must_be(dir != NULL);
	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must_be(pthread_key_create(&key, on_destroy) == 0);
	pthread_t threads[4];
	for (long i = 0; i < 4; i++)
		threads[i] = start_thread(run, (void *)i);
	must_be(pthread_detach(threads[3]) == 0);
	checkpoint_threads(4);
	expect("threads", 5, count_threads());
	set_value(&turn, 1);
	expect("result of a return", 0x2222, (long)join_thread(threads[0]));
	set_value(&turn, 2);
	expect("result of an exit", 0x1111, (long)join_thread(threads[1]));
	must_be(pthread_cancel(threads[2]) == 0);
	must_be(join_thread(threads[2]) == PTHREAD_CANCELED);
	set_value(&turn, 4);
	struct timespec ms = { 0, 1000000 };
	for (int i = 0; i < 10000 && count_threads() > 1; i++)
		nanosleep(&ms, NULL);
	expect("threads left", 1, count_threads());
	expect("cleanup handlers that ran", 1 << 8 | 1 << 16, cleaned);
	expect("key destructors that ran", 15, destroyed);
	pass();
}
