// SPDX-License-Identifier: GPL-2.0-only
// A thread multiplexes eight pipes by poll while eight others feed them with numbers, at full speed: each number arrives once,
// in order, and poll never tells of an event that isn't there.
// @cflags -pthread
// @busy threads
// @storm 20
// @may-differ (stat/blocked|status/SigBlk) the mask of a ppoll holds only inside of the call
#include "threads.h"
#include <poll.h>

enum { N = 8 };
static int ends[N][2];
static unsigned long total;

static void *feed(void *arg)
{
	long i = (long)arg, number = 0;
	arrive();
	for (; !__atomic_load_n(&released_word, __ATOMIC_SEQ_CST); number++) {
		expect("bytes written", sizeof(number), write(ends[i][1], &number, sizeof(number)));
		breathe(number);
	}
	must(close(ends[i][1]));
	return (void *)number;
}

static void *drain(void *arg)
{
	long *next = arg;
	struct pollfd on[N];
	sigset_t none;
	sigfillset(&none);
	for (int i = 0; i < N; i++)
		on[i] = (struct pollfd){ ends[i][0], POLLIN, 0 };
	arrive();
	for (int open = N, turn = 0; open > 0; turn++) {
		int events = turn % 2 ? ppoll(on, N, NULL, &none) : poll(on, N, -1);
		if (events < 0) {
			expect("errno of poll", EINTR, errno);
			continue;
		}
		must_be(events > 0);
		for (int i = 0; i < N; i++) {
			long number;
			if (!on[i].revents)
				continue;
			ssize_t n = must(read(ends[i][0], &number, sizeof(number)));
			events--;
			if (n == 0) {
				on[i].fd = -1;
				open--;
				continue;
			}
			expect("bytes read", sizeof(number), n);
			expect("number", next[i]++, number);
			__atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
		}
		expect("events not found", 0, events);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static long next[N];
	pthread_t threads[N], reader;
	for (long i = 0; i < N; i++)
		must(pipe(ends[i]));
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(feed, (void *)i);
	reader = start_thread(drain, next);
	wait_for_value(&arrived_count, N + 1);
	ready();
	wait_for_trigger();
	unsigned long from = __atomic_load_n(&total, __ATOMIC_SEQ_CST);
	struct timespec ms = { 0, 1000000 };
	for (int n = 0; __atomic_load_n(&total, __ATOMIC_SEQ_CST) - from < 1000; n++) {
		if (n > 10000)
			fail("wanted 1000 numbers after the restore, got fewer in 10 s");
		nanosleep(&ms, NULL);
	}
	set_value(&released_word, 1);
	long wrote[N];
	for (int i = 0; i < N; i++)
		wrote[i] = (long)join_thread(threads[i]);
	join_thread(reader);
	for (int i = 0; i < N; i++)
		expect("numbers read", wrote[i], next[i]);
	pass();
}
