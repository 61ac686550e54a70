// SPDX-License-Identifier: GPL-2.0-only
// A 64-bit program (a shell) with a 32-bit one below it, which has a 32-bit child with changed memory and threads, and a 64-bit child (cat).
// @needs ia32 multilib
// @cflags -m32 -pthread
// @trigger file
// @peer-may-differ (.*/)?fd/\d+/flags the original, being 64-bit, opens files with O_LARGEFILE
#include "threads.h"
#include <sys/wait.h>

static unsigned *shared;
static unsigned words[8192];

static void *thread_of_child(void *arg)
{
	(void)arg;
	arrive_and_wait();
	return NULL;
}

static void be_child(void)
{
	for (int i = 0; i < 4096; i++)
		words[i] = 3 * i;
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		threads[i] = start_thread(thread_of_child, NULL);
	wait_for_value(&arrived_count, 2);
	__atomic_store_n(&shared[0], 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&shared[1], __ATOMIC_SEQ_CST))
		usleep(2000);
	set_value(&released_word, 1);
	for (int i = 0; i < 2; i++)
		join_thread(threads[i]);
	for (int i = 0; i < 8192; i++)
		if (words[i] != (i < 4096 ? 3u : 7u) * i)
			_exit(2);
	_exit(0);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (argc < 3) {
		scenario_out = -1;
		execl("/bin/sh", "sh", "-c", "\"$0\" \"$1\" below & wait $!; exit $?", argv[0], argv[1], (char *)NULL);
		_exit(2);
	}
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 8192; i++)
		words[i] = 7 * i;
	pid_t child = must(fork());
	if (child == 0)
		be_child();
	int to[2], from[2], status;
	must(pipe2(to, O_CLOEXEC));
	must(pipe2(from, O_CLOEXEC));
	pid_t cat = must(fork());
	if (cat == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl("/bin/cat", "cat", (char *)NULL);
		_exit(1);
	}
	char text[8] = "";
	must_be(write(to[1], "one", 3) == 3 && read(from[0], text, 7) == 3);
	while (!__atomic_load_n(&shared[0], __ATOMIC_SEQ_CST))
		usleep(2000);
	ready();
	wait_for_file();
	must_be(write(to[1], "two", 3) == 3 && read(from[0], text, 7) == 3);
	expect_text("cat's answer", "two", text);
	close(to[1]);
	must(waitpid(cat, &status, 0));
	expect("the end of cat", 0, status);
	__atomic_store_n(&shared[1], 1, __ATOMIC_SEQ_CST);
	must(waitpid(child, &status, 0));
	expect("the end of the child", 0, status);
	for (int i = 0; i < 8192; i++)
		expect("a word", 7 * i, words[i]);
	pass();
}
