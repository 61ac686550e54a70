// SPDX-License-Identifier: GPL-2.0-only
// Programs in memfds can still be executed: the writable descriptor and mappings of it don't count as open for writing.
#include "scenario.h"
#include <sys/wait.h>

static void expect_runs(int fd)
{
	pid_t pid = must(fork());
	if (pid == 0) {
		char *argv[] = { "script", NULL }, *envp[] = { NULL };
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		_exit(errno);
	}
	int status;
	must(waitpid(pid, &status, 0));
	expect("exit status", 0, status);
}

static int make_script(void)
{
	int fd = must(memfd_create("script", 0));
	must_be(write(fd, "#!/bin/true\n", 12) == 12);
	must(fchmod(fd, 0700));
	return fd;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = make_script(), mapped = make_script();
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mapped);
	int reader = must(open(path, O_RDONLY));
	char *own = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0));
	char *shared = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0));
	ready();
	wait_for_trigger();
	expect("close-on-exec", 0, fcntl(fd, F_GETFD));
	expect_runs(fd);
	expect_runs(mapped);
	expect_bytes("private mapping", "#!/bin/true\n", own, 12);
	expect_bytes("shared mapping", "#!/bin/true\n", shared, 12);
	pass();
}
