// SPDX-License-Identifier: GPL-2.0-only
// What scenario programs with seccomp share: filters that answer system calls with an error number, and installing them.
#ifndef SECCOMP_SCENARIO_H
#define SECCOMP_SCENARIO_H
#include "scenario.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#ifndef SECCOMP_SET_MODE_FILTER
#define SECCOMP_SET_MODE_FILTER 1
#endif

// Installs a program for the calling thread by seccomp(2) with flags; gives what the call gave.
__attribute__((unused)) static long install_filter(struct sock_filter *code, unsigned short length, unsigned flags)
{
	struct sock_fprog program = { length, code };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

// Installs a filter that lets one system call do the given action and allows all others.
__attribute__((unused)) static long install_rule(int call, unsigned action, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	return install_filter(code, 4, flags);
}

// Fails unless the system call is answered with that error number; 0: with success or another one than the filters give.
__attribute__((unused)) static void expect_errno(const char *what, int wanted, long call, long a, long b)
{
	errno = 0;
	long got = syscall(call, a, b, 0, 0, 0, 0);
	if (wanted) {
		expect(what, -1, got);
		expect(what, wanted, errno);
	} else if (got < 0 && errno >= 1000) {
		fail("%s, wanted no filter in the way, got errno %d", what, errno);
	}
}

// The number after NAME: in /proc/TASK/status.
__attribute__((unused)) static long read_status(const char *task, const char *name)
{
	char path[64], text[8192];
	snprintf(path, sizeof(path), "/proc/%s/status", task);
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	size_t have = 0;
	for (ssize_t n; (n = read(fd, text + have, sizeof(text) - 1 - have)) > 0;)
		have += n;
	close(fd);
	text[have] = 0;
	char *at = strstr(text, name);
	must_be(at != NULL);
	return strtol(at + strlen(name) + 1, NULL, 10);
}
#endif
