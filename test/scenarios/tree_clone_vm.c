// SPDX-License-Identifier: GPL-2.0-only
// @memory
// CLONE_VM without CLONE_THREAD: a child with a stack of its own in its parent's memory; what one writes and maps, both have.
// @skip-peer CRIU 4.1.1 refuses memory shared by processes
#include "tree.h"

static char stack[65536] __attribute__((aligned(16)));
static volatile int word = 1, signals;
static char *volatile mapped;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static int run(void *arg)
{
	(void)arg;
	word = 2;
	while (word == 2)
		usleep(1000);
	(void)on_signal;
	mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mapped[PAGE] = 99;
	_exit(5);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = must(clone(run, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL));
	while (word != 2)
		usleep(1000);
	int fd = must(dup(0)), closed = must(dup(0));
	(void)fd;
	(void)closed;
	ready();
	wait_for_trigger();
	expect("kcmp of the memory", 0, syscall(SYS_kcmp, getpid(), child, 1 /* KCMP_VM */, 0, 0));
	expect("kcmp of the handlers", 1, syscall(SYS_kcmp, getpid(), child, 4 /* KCMP_SIGHAND */, 0, 0) != 0);
	word = 3;
	expect_exit(child, 5);
	must_be(mapped && mapped[PAGE] == 99);
	expect("signals", 0, signals);
	pass();
}
