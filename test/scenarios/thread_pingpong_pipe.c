// SPDX-License-Identifier: GPL-2.0-only
// Two threads send a counter to and fro through pipes at full speed: no byte is lost or doubled, no call fails.
// @cflags -pthread
// @busy threads
// @storm 20
#include "threads.h"

static int there[2], back[2];
static unsigned long count;

static void *ask(void *arg)
{
	unsigned long number = 0, got;
	arrive();
	while (!__atomic_load_n(&released_word, __ATOMIC_SEQ_CST)) {
		expect("bytes written", sizeof(number), write(there[1], &number, sizeof(number)));
		expect("bytes read", sizeof(got), read(back[0], &got, sizeof(got)));
		expect("number that came back", number + 1, got);
		number += 2;
		__atomic_store_n(&count, number, __ATOMIC_SEQ_CST);
		breathe(number / 2);
	}
	return arg;
}

static void *answer(void *arg)
{
	unsigned long number = 0, got;
	ssize_t n;
	arrive();
	while ((n = read(there[0], &got, sizeof(got))) != 0) {
		expect("bytes read", sizeof(got), n);
		expect("number that came", number, got);
		got++;
		expect("bytes written", sizeof(got), write(back[1], &got, sizeof(got)));
		number += 2;
	}
	expect("numbers at the end", count, number);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(pipe(there));
	must(pipe(back));
	pthread_t first = start_thread(ask, NULL), second = start_thread(answer, NULL);
	wait_for_value(&arrived_count, 2);
	ready();
	wait_for_trigger();
	unsigned long from = __atomic_load_n(&count, __ATOMIC_SEQ_CST);
	struct timespec ms = { 0, 1000000 };
	for (int n = 0; __atomic_load_n(&count, __ATOMIC_SEQ_CST) - from < 1000; n++) {
		if (n > 10000)
			fail("wanted 500 exchanges after the restore, got fewer in 10 s");
		nanosleep(&ms, NULL);
	}
	set_value(&released_word, 1);
	join_thread(first);
	must(close(there[1]));
	join_thread(second);
	pass();
}
