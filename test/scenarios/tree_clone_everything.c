// SPDX-License-Identifier: GPL-2.0-only
// CLONE_VM, CLONE_SIGHAND, CLONE_FILES and CLONE_FS: a child that shares all of these, yet is a process of its own.
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
	signal(SIGUSR2, on_signal);
	close(60);
	dup2(0, 61);
	if (chdir("/usr") < 0)
		_exit(6);
	mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mapped[PAGE] = 99;
	_exit(5);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = must(clone(run, stack + sizeof(stack), CLONE_VM | CLONE_SIGHAND | CLONE_FILES | CLONE_FS | SIGCHLD, NULL));
	while (word != 2)
		usleep(1000);
	int fd = must(dup(0)), closed = must(dup(0));
	(void)fd;
	(void)closed;
	ready();
	wait_for_trigger();
	expect("kcmp of the memory", 0, syscall(SYS_kcmp, getpid(), child, 1 /* KCMP_VM */, 0, 0));
	expect("kcmp of the handlers", 0, syscall(SYS_kcmp, getpid(), child, 4 /* KCMP_SIGHAND */, 0, 0) != 0);
	word = 3;
	expect_exit(child, 5);
	must_be(mapped && mapped[PAGE] == 99);
	must(kill(getpid(), SIGUSR2));
	expect("signals", 1, signals);
	must(fcntl(61, F_GETFD));
	char path[64];
	must_be(getcwd(path, sizeof(path)));
	expect_text("working directory that the child set", "/usr", path);
	pass();
}
