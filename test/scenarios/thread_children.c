// SPDX-License-Identifier: GPL-2.0-only
// Children forked by threads other than the leader, one of these started by a thread itself: threads and children find their
// thread-local variables, children have the same parent, and all can be joined and reaped.
// @cflags -pthread
// @peer-may-differ (proc/\d+/)?s?maps/.* the original joins neighbouring mappings where processes are related
#include "threads.h"
#include <sys/wait.h>

enum { N = 3 };
static __thread char text[10] = "unset";
static const char *const texts[N] = { "thread-1", "thread-2", "thread-1a" };
static struct shared { unsigned go, right[N]; } *shared;
static pid_t children[N];
static pthread_t second;

static void *run(void *arg)
{
	long i = (long)arg;
	pid_t parent = getpid();
	strcpy(text, texts[i]);
	if (i == 0)
		second = start_thread(run, (void *)2);
	children[i] = must(fork());
	if (children[i] == 0) {
		while (!__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST))
			syscall(SYS_futex, &shared->go, FUTEX_WAIT, 0, NULL, NULL, 0);
		shared->right[i] = !strcmp(text, texts[i]) && getppid() == parent && own_tid() == getpid();
		_exit(30 + i);
	}
	arrive_and_wait();
	expect_text("thread-local variable", texts[i], text);
	int status;
	expect("own child", children[i], waitpid(children[i], &status, 0));
	must_be(WIFEXITED(status));
	expect("status of own child", 30 + i, WEXITSTATUS(status));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	shared = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pthread_t threads[2] = { start_thread(run, (void *)0), start_thread(run, (void *)1) };
	wait_for_value(&arrived_count, N);
	ready();
	wait_for_trigger();
	shared->go = 1;
	syscall(SYS_futex, &shared->go, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	set_value(&released_word, 1);
	for (int i = 0; i < 2; i++)
		join_thread(threads[i]);
	join_thread(second);
	for (int i = 0; i < N; i++)
		expect("a child's data", 1, shared->right[i]);
	pass();
}
