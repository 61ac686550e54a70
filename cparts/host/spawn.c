/* SPDX-License-Identifier: GPL-2.0-only */
/* clone3 + execveat with nothing of JavaScript in the child. The child borrows our memory until it executes (as vfork
 * does), so it costs the same however large this process is; until then it may only make system calls. */
#define _GNU_SOURCE
#include "apart.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_SIZE (64 * 1024)

static int64_t raw(int64_t nr, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e)
{
	return cr_syscall(nr, a, b, c, d, e, 0);
}

static int64_t fail(struct cr_spawn *request, int stage, int64_t error)
{
	request->stage = stage;
	request->error = (int32_t)-error;
	return error;
}

/* Closes from..to without the numbers that were just given to moved descriptors. */
static void close_others(const struct cr_spawn *request)
{
	const struct cr_fd_move *moves = (const struct cr_fd_move *)request->moves;
	uint32_t from = (uint32_t)request->close_from;

	for (;;) {
		uint32_t next = ~0u;
		for (uint32_t i = 0; i < request->nr_moves; i++)
			if ((uint32_t)moves[i].to >= from && (uint32_t)moves[i].to < next)
				next = (uint32_t)moves[i].to;
		if (next > from)
			raw(SYS_close_range, from, next == ~0u ? ~0u : next - 1, 0, 0, 0);
		if (next == ~0u)
			return;
		from = next + 1;
	}
}

/* Runs in the child, on its own stack, in our memory. Returns only on failure. */
static void child(void *arg, const void *mask)
{
	struct cr_spawn *request = arg;
	static char *const argv[] = { "criu-agent", NULL };
	static char *const envp[] = { NULL };
	const struct cr_fd_move *moves = (const struct cr_fd_move *)request->moves;
	int exec_fd = request->exec_fd;
	int64_t ret;

	if (request->die_with_parent) {
		ret = raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (ret < 0) {
			fail(request, 4, ret);
			return;
		}
	}
	for (uint32_t i = 0; i < request->nr_moves; i++) {
		ret = moves[i].from == moves[i].to ? raw(SYS_fcntl, moves[i].to, F_SETFD, 0, 0, 0)
						   : raw(SYS_dup3, moves[i].from, moves[i].to, 0, 0, 0);
		if (ret < 0) {
			fail(request, 2, ret);
			return;
		}
		if (moves[i].from == request->exec_fd)
			exec_fd = moves[i].to;
	}
	close_others(request);
	raw(SYS_fcntl, exec_fd, F_SETFD, FD_CLOEXEC, 0, 0);
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)mask, 0, 8, 0);
	ret = raw(SYS_execveat, exec_fd, (int64_t) "", (int64_t)argv, (int64_t)envp, AT_EMPTY_PATH);
	fail(request, 3, ret);
}

/* Gives the pid as this process sees it. */
int64_t cr_spawn(struct cr_spawn *request)
{
	sigset_t all, old;
	struct clone_args args = { 0 };
	int64_t pid;
	uint8_t *stack;

	request->stage = 0;
	request->error = 0;
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return fail(request, 1, -errno);
	args.flags = request->flags | CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND;
	args.exit_signal = request->flags & CLONE_PARENT ? 0 : SIGCHLD;
	args.set_tid = request->set_tid;
	args.set_tid_size = request->set_tid_size;
	args.stack = (uint64_t)stack;
	args.stack_size = STACK_SIZE;

	/* sigfillset(3) leaves out the C library's own signals, 32 and 33. */
	memset(&all, 0xff, sizeof(all));
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&all, (int64_t)&old, 8, 0, 0);
	pid = run_apart(&args, child, request, &all);
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&old, 0, 8, 0, 0);
	munmap(stack, STACK_SIZE);
	if (pid < 0)
		return fail(request, 1, pid);
	if (request->error) {
		/* The child is gone already; its exit status is nobody else's business. */
		cr_syscall(SYS_wait4, pid, 0, 0x40000000 /* __WALL */, 0, 0, 0);
		return -request->error;
	}
	return pid;
}
