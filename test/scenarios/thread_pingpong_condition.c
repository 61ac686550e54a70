// SPDX-License-Identifier: GPL-2.0-only
// Producers and consumers on a bounded queue with a mutex and two condition variables at full speed: every item arrives once.
// @cflags -pthread
// @busy threads
// @storm 20
#include "threads.h"

enum { PRODUCERS = 2, CONSUMERS = 2, ROOM = 4 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static struct item { long producer, number; } queue[ROOM];
static unsigned head, tail;
static long next_number[PRODUCERS], produced[PRODUCERS], consumed;
static int stop, producers_left = PRODUCERS;

static void *produce(void *arg)
{
	long me = (long)arg;
	arrive();
	for (long number = 0; !__atomic_load_n(&stop, __ATOMIC_SEQ_CST); number++) {
		must_be(pthread_mutex_lock(&mutex) == 0);
		while (tail - head == ROOM)
			must_be(pthread_cond_wait(&not_full, &mutex) == 0);
		queue[tail++ % ROOM] = (struct item){ me, number };
		produced[me]++;
		must_be(pthread_cond_signal(&not_empty) == 0);
		must_be(pthread_mutex_unlock(&mutex) == 0);
		breathe(number);
	}
	must_be(pthread_mutex_lock(&mutex) == 0);
	producers_left--;
	must_be(pthread_cond_broadcast(&not_empty) == 0);
	must_be(pthread_mutex_unlock(&mutex) == 0);
	return NULL;
}

static void *consume(void *arg)
{
	arrive();
	for (;;) {
		must_be(pthread_mutex_lock(&mutex) == 0);
		while (head == tail && producers_left)
			must_be(pthread_cond_wait(&not_empty, &mutex) == 0);
		if (head == tail)
			break;
		struct item item = queue[head++ % ROOM];
		expect("number of an item", next_number[item.producer], item.number);
		next_number[item.producer]++;
		consumed++;
		must_be(pthread_cond_signal(&not_full) == 0);
		must_be(pthread_mutex_unlock(&mutex) == 0);
	}
	must_be(pthread_mutex_unlock(&mutex) == 0);
	return arg;
}

static long read_consumed(void)
{
	must_be(pthread_mutex_lock(&mutex) == 0);
	long n = consumed;
	must_be(pthread_mutex_unlock(&mutex) == 0);
	return n;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[PRODUCERS + CONSUMERS];
	for (long i = 0; i < PRODUCERS; i++)
		threads[i] = start_thread(produce, (void *)i);
	for (long i = 0; i < CONSUMERS; i++)
		threads[PRODUCERS + i] = start_thread(consume, NULL);
	checkpoint_threads(PRODUCERS + CONSUMERS);
	long from = read_consumed();
	struct timespec ms = { 0, 1000000 };
	for (int n = 0; read_consumed() - from < 1000; n++) {
		if (n > 10000)
			fail("wanted 1000 items consumed after the restore, got %ld in 10 s", read_consumed() - from);
		nanosleep(&ms, NULL);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
		join_thread(threads[i]);
	expect("items consumed", produced[0] + produced[1], consumed);
	for (int i = 0; i < PRODUCERS; i++)
		expect("items of a producer", produced[i], next_number[i]);
	pass();
}
