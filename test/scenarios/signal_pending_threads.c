// SPDX-License-Identifier: GPL-2.0-only
// 70 pending signals with odd codes and payloads, of the process, the main thread and another one, keep order and siginfo; one
// is the SIGCHLD of a zombie child. Everything is blocked in both threads.
// @cflags -pthread
// @trigger file
// @skip-mode leave-stopped the SIGCONT that ends the stop stays pending, being blocked
// @peer-may-differ s?maps/.* the original joins neighbouring mappings where processes are related
#include "threads.h"
#include <sys/wait.h>

enum { OF_MAIN = 64, OF_OTHER = 3, OF_PROCESS = 2 };
static int code = -10;
static pid_t child, other_tid;
static sigset_t masks[2];

static void queue(pid_t tid, int sig)
{
	siginfo_t info;
	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code--;
	fill(&info._sifields, 12, -info.si_code);
	if (tid)
		must(syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &info));
	else
		must(syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info));
}

static void expect_next(int sig, int wanted_code)
{
	sigset_t set;
	siginfo_t info;
	struct timespec zero = { 0, 0 };
	unsigned char payload[16];
	sigemptyset(&set);
	sigaddset(&set, sig);
	memset(&info, 0, sizeof(info));
	if (sigtimedwait(&set, &info, &zero) < 0)
		fail("signal %d with code %d, wanted it pending, got errno %d", sig, wanted_code, errno);
	expect("signal", sig, info.si_signo);
	expect("errno field", 0, info.si_errno);
	expect("code", wanted_code, info.si_code);
	fill(payload, 12, -wanted_code);
	expect_bytes("payload", payload, &info._sifields, 12);
}

static void expect_nothing_else(int index)
{
	sigset_t now;
	must(sigpending(&now));
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGTRAP)
			expect("another pending signal", 0, sigismember(&now, sig));
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGTRAP)
			expect("mask", sigismember(&masks[index], sig), sigismember(&now, sig));
}

static void *run(void *arg)
{
	other_tid = own_tid();
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &masks[1]) == 0);
	arrive_and_wait();
	for (int i = 0; i < OF_OTHER; i++)
		expect_next(SIGRTMIN, -10 - OF_PROCESS - OF_MAIN - i);
	expect_nothing_else(1);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	must(sigprocmask(SIG_SETMASK, &all, NULL));
	must(sigprocmask(SIG_SETMASK, NULL, &masks[0]));
	pthread_t thread = start_thread(run, NULL);
	wait_for_value(&arrived_count, 1);
	child = must(fork());
	if (child == 0)
		_exit(5);
	siginfo_t info;
	must(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	for (int i = 0; i < OF_PROCESS; i++)
		queue(0, SIGRTMAX);
	for (int i = 0; i < OF_MAIN; i++)
		queue(getpid(), SIGRTMIN);
	for (int i = 0; i < OF_OTHER; i++)
		queue(other_tid, SIGRTMIN);
	ready();
	wait_for_file();
	for (int i = 0; i < OF_PROCESS; i++)
		expect_next(SIGRTMAX, -10 - i);
	for (int i = 0; i < OF_MAIN; i++)
		expect_next(SIGRTMIN, -10 - OF_PROCESS - i);
	sigset_t chld;
	struct timespec zero = { 0, 0 };
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	must(sigtimedwait(&chld, &info, &zero));
	expect("code of SIGCHLD", CLD_EXITED, info.si_code);
	expect("pid of SIGCHLD", child, info.si_pid);
	expect("status of SIGCHLD", 5, info.si_status);
	expect_nothing_else(0);
	set_value(&released_word, 1);
	join_thread(thread);
	int status;
	expect("zombie", child, waitpid(child, &status, 0));
	must_be(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	pass();
}
