// SPDX-License-Identifier: GPL-2.0-only
// Memory shared over three generations: a child in it, with a thread, makes one more in it and forks one out of it; that one's
// memory is its own. Each has its credentials, its signals and its end to itself.
// @skip-peer CRIU 4.1.1 refuses memory shared by processes
// @busy children
#include "tree.h"

enum { STACK = 65536, OWNER = 1234 };
static char stacks[3][STACK] __attribute__((aligned(16)));
static volatile int arrived, go, thread_went, inner_went;
static volatile pid_t middle_pid, inner_pid, forked_pid;
static volatile int *shared;

static void rest(volatile int *word)
{
	struct timespec ms = { 0, 1000000 };
	while (!*word)
		syscall(SYS_nanosleep, &ms, NULL);
}

static int inner(void *arg)
{
	(void)arg;
	if (syscall(SYS_setresuid, OWNER, OWNER, OWNER))
		syscall(SYS_exit_group, 9);
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	rest(&go);
	inner_went = syscall(SYS_getuid);
	syscall(SYS_exit_group, 7);
	return 0;
}

static int thread(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	rest(&go);
	thread_went = 1;
	syscall(SYS_exit, 0);
	return 0;
}

static int middle(void *arg)
{
	(void)arg;
	inner_pid = clone(inner, stacks[1] + STACK, CLONE_VM | SIGCHLD, NULL);
	clone(thread, stacks[2] + STACK, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_FILES | CLONE_FS, NULL);
	long child = syscall(SYS_fork);
	if (child == 0) {
		shared[0] = 1;
		rest(&shared[1]);
		// Only its own copy.
		go = 5;
		syscall(SYS_exit_group, go == 5 && arrived <= 3 ? 6 : 8);
	}
	forked_pid = child;
	rest(&shared[0]);
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	rest(&go);
	int status = 0, all = 0;
	while (syscall(SYS_wait4, inner_pid, &status, 0, NULL) != inner_pid)
		;
	all += status == 7 << 8;
	while (syscall(SYS_wait4, child, &status, 0, NULL) != child)
		;
	all += status == 6 << 8;
	rest(&thread_went);
	syscall(SYS_exit_group, 10 + all);
	return 0;
}

static int same_memory(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, 1 /* KCMP_VM */, 0, 0) == 0;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	shared = shared_memory(PAGE);
	middle_pid = must(clone(middle, stacks[0] + STACK, CLONE_VM | SIGCHLD, NULL));
	while (arrived != 3)
		usleep(500);
	ready();
	wait_for_trigger();
	expect("memory of the child", 1, same_memory(getpid(), middle_pid));
	expect("memory of the grandchild", 1, same_memory(getpid(), inner_pid));
	expect("memory of the forked one", 0, same_memory(getpid(), forked_pid));
	shared[1] = 1;
	go = 1;
	expect_exit(middle_pid, 12);
	expect("user id of the grandchild", OWNER, inner_went);
	expect("word that the forked one wrote", 1, go);
	pass();
}
