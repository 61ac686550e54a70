// SPDX-License-Identifier: GPL-2.0-only
// Threads share memory, files, filesystem data (directory, root, umask), handlers and semaphore undo as before: one changes,
// all see it, and kcmp says that each is one object.
// @cflags -pthread
#include "threads.h"
#include <linux/kcmp.h>

enum { N = 2 };
static pid_t tids[N];
static unsigned turn;
static int fd;

static void *run(void *arg)
{
	tids[(long)arg] = own_tid();
	arrive_and_wait();
	if (arg == NULL) {
		umask(0123);
		must(chdir("/proc"));
		fd = must(open("/dev/zero", O_RDONLY));
		signal(SIGUSR2, SIG_IGN);
		set_value(&turn, 1);
		return NULL;
	}
	wait_for_value(&turn, 1);
	char cwd[64], zero = 1;
	expect("umask that the other thread set", 0123, umask(0));
	must_be(getcwd(cwd, sizeof(cwd)) != NULL);
	expect_text("directory that the other thread went to", "/proc", cwd);
	expect("read from a file that the other thread opened", 1, read(fd, &zero, 1));
	must_be(signal(SIGUSR2, SIG_DFL) == SIG_IGN);
	return NULL;
}

static void compare(const char *what, int kind)
{
	for (int i = 0; i < N; i++)
		expect(what, 0, syscall(SYS_kcmp, getpid(), tids[i], kind, 0, 0));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	umask(027);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	wait_for_value(&arrived_count, N);
	if (syscall(SYS_kcmp, getpid(), tids[0], KCMP_VM, 0, 0) < 0)
		skip("kcmp: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("umask", 027, umask(027));
	compare("memory", KCMP_VM);
	compare("files", KCMP_FILES);
	compare("filesystem data", KCMP_FS);
	compare("handlers", KCMP_SIGHAND);
	compare("semaphore undo", KCMP_SYSVSEM);
	set_value(&released_word, 1);
	for (int i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
