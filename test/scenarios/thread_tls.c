// SPDX-License-Identifier: GPL-2.0-only
// Eight threads keep their thread-local variables, small, large and by key, errno, and the address of their thread block.
// @cflags -pthread
#include "threads.h"

enum { N = 8 };
static __thread char text[10];
static const char *const texts[] = { "thread 0", "one", "", "3333333", "number 4", "\xff\x80\x01", "six", "t-seven-9" };
static __thread unsigned char large[100000];
static pthread_key_t key;

static void *run(void *arg)
{
	long i = (long)arg;
	void *block = __builtin_thread_pointer();
	pthread_t self = pthread_self();
	strcpy(text, texts[i]);
	fill(large, sizeof(large), 300 + i);
	must_be(pthread_setspecific(key, (void *)(0x5000 + i)) == 0);
	errno = 2000 + i;
	int *errno_at = &errno;
	arrive();
	while (!__atomic_load_n(&released_word, __ATOMIC_SEQ_CST)) {
		int keep = *errno_at;
		futex_wait(&released_word, 0);
		*errno_at = keep;
	}
	expect("errno", 2000 + i, errno);
	expect("address of errno", (long)errno_at, (long)&errno);
	expect_text("small thread-local variable", texts[i], text);
	expect_fill("large thread-local variable", large, sizeof(large), 300 + i);
	expect("value by key", 0x5000 + i, (long)pthread_getspecific(key));
	expect("thread block", (long)block, (long)__builtin_thread_pointer());
	must_be(pthread_equal(self, pthread_self()));
	return (void *)(i + 1);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must_be(pthread_key_create(&key, NULL) == 0);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	for (long i = 0; i < N; i++)
		expect("result", i + 1, (long)join_thread(threads[i]));
	pass();
}
