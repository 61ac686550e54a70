/* SPDX-License-Identifier: GPL-2.0-only */
/* A program started with nothing of JavaScript in the child, and signals that are noted instead of ending us. */
#define _GNU_SOURCE
#include "apart.h"
#include "host.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define STACK_SIZE (64 * 1024)

static int64_t raw(int64_t nr, int64_t a, int64_t b, int64_t c, int64_t d)
{
	return cr_syscall(nr, a, b, c, d, 0, 0);
}

/* In the child, on its own stack, in our memory: system calls only. Returns on failure. */
static void child(void *arg, const void *mask)
{
	struct cr_launch *request = arg;
	const int32_t *fds = (const int32_t *)request->fds;
	int64_t ret = 0;

	if (request->new_session)
		raw(SYS_setsid, 0, 0, 0, 0);
	for (uint32_t i = 0; i < request->nr_fds && ret >= 0; i++)
		ret = fds[i] < 0 ? raw(SYS_close, i, 0, 0, 0) & 0 : raw(SYS_dup3, fds[i], i, 0, 0);
	if (ret < 0) {
		request->error = (int32_t)-ret;
		return;
	}
	raw(SYS_close_range, request->nr_fds, ~0u, 0, 0);
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)mask, 0, 8);
	ret = raw(SYS_execve, (int64_t)request->path, (int64_t)request->argv, (int64_t)request->envp, 0);
	request->error = (int32_t)-ret;
}

/* Gives the pid as this process sees it. */
int64_t cr_launch(struct cr_launch *request)
{
	uint64_t all = ~0ul, none = 0, old;
	struct clone_args args = { 0 };
	int64_t pid;
	uint8_t *stack;

	request->error = 0;
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -errno;
	args.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND;
	args.exit_signal = SIGCHLD;
	args.stack = (uint64_t)stack;
	args.stack_size = STACK_SIZE;
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&all, (int64_t)&old, 8);
	pid = run_apart(&args, child, request, &none);
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&old, 0, 8);
	munmap(stack, STACK_SIZE);
	if (pid >= 0 && request->error) {
		raw(SYS_wait4, pid, 0, 0x40000000 /* __WALL */, 0);
		return -request->error;
	}
	return pid;
}

/* Where the number of the last signal goes: a handler gets nothing else from us. */
static int32_t *noted;

static void note(int signal)
{
	__atomic_store_n(noted, signal, __ATOMIC_RELAXED);
}

/* From now on the first of each of these signals is noted; a second one does what it always does. With NULL: as before. */
int64_t cr_note_signals(int32_t *place, uint64_t signals)
{
	struct sigaction action = { 0 }, old;

	if (place)
		noted = place;
	action.sa_handler = place ? note : SIG_DFL;
	action.sa_flags = place ? SA_RESTART | SA_RESETHAND : 0;
	for (int signal = 1; signal < 32; signal++) {
		if (!(signals >> (signal - 1) & 1) || sigaction(signal, NULL, &old) < 0)
			continue;
		/* Whoever started us wants it ignored: nohup, a shell's background job. */
		if (old.sa_handler != SIG_IGN && sigaction(signal, &action, NULL) < 0)
			return -errno;
	}
	return 0;
}
