// SPDX-License-Identifier: GPL-2.0-only
// deny io_uring|own-memory PROGRAM…: runs a program for which the kernel seems to have no io_uring, or forbids to write past the
// protection of memory (a write of one byte at a place, by which that is tried, fails).
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define GIVE(value) BPF_STMT(BPF_RET | BPF_K, value)

int main(int argc, char **argv)
{
	struct sock_filter uring[] = {
		LOAD(nr), UNLESS(SYS_io_uring_setup, 1), GIVE(SECCOMP_RET_ERRNO | EPERM), GIVE(SECCOMP_RET_ALLOW),
	};
	struct sock_filter memory[] = {
		LOAD(nr), UNLESS(SYS_pwrite64, 3), LOAD(args[2]), UNLESS(1, 1), GIVE(SECCOMP_RET_ERRNO | EIO), GIVE(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(uring) / sizeof(*uring), uring };

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "own-memory") == 0)
		program = (struct sock_fprog){ sizeof(memory) / sizeof(*memory), memory };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
		execv(argv[2], argv + 2);
	perror(argv[2]);
	return 2;
}
