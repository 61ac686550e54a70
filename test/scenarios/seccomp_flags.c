// SPDX-License-Identifier: GPL-2.0-only
// The LOG flag of filters, one with, one without, one with it again: a child without filter traces its parent and reads them back.
// @peer-may-differ s?maps/.* the original joins neighbouring mappings where processes are related
#include "seccomp.h"
#include <sys/ptrace.h>
#include <sys/wait.h>

#ifndef PTRACE_SECCOMP_GET_METADATA
#define PTRACE_SECCOMP_GET_METADATA 0x420d
#endif

static const unsigned flags[] = { SECCOMP_FILTER_FLAG_LOG, 0, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW };
enum { N = sizeof(flags) / sizeof(*flags) };

// In the child: exit status 0 when all flags are as wanted, 1 + number of the wrong filter, 100 when it can't be told.
static int look_at(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		return 100;
	int status;
	if (waitpid(pid, &status, __WALL) != pid)
		return 101;
	for (unsigned long i = 0; i < N; i++) {
		struct { uint64_t index, flags; } data = { i, 0xffff };
		if (ptrace(PTRACE_SECCOMP_GET_METADATA, pid, sizeof(data), &data) < 0)
			return 102;
		if (data.flags != (flags[i] & SECCOMP_FILTER_FLAG_LOG))
			return 1 + i;
	}
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return 0;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int go[2];
	must(pipe(go));
	pid_t me = getpid(), pid = must(fork());
	if (pid == 0) {
		char byte;
		must(close(go[1]));
		while (read(go[0], &byte, 1) < 0)
			;
		_exit(look_at(me));
	}
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	for (int i = 0; i < N; i++)
		must(install_rule(3000 + i, SECCOMP_RET_ERRNO | (1000 + i), flags[i]));
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++)
		expect_errno("a filter's call", 1000 + i, 3000 + i, 0, 0);
	must(close(go[1]));
	int status;
	while (waitpid(pid, &status, 0) < 0)
		must_be(errno == EINTR);
	must_be(WIFEXITED(status));
	if (WEXITSTATUS(status) == 102)
		skip("no PTRACE_SECCOMP_GET_METADATA, or not allowed");
	expect("look at the flags", 0, WEXITSTATUS(status));
	pass();
}
