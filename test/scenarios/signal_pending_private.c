// SPDX-License-Identifier: GPL-2.0-only
// Each of four threads has queued and standard signals of its own pending; none reaches another thread or is made the process's.
// @cflags -pthread
// @trigger file
// @skip-mode leave-stopped the SIGCONT that ends the stop stays pending, being blocked
#include "threads.h"

enum { N = 4, QUEUED = 30 };
static pid_t tids[N];

static void take(int sig, int code, long value)
{
	sigset_t set;
	siginfo_t info;
	struct timespec zero = { 0, 0 };
	sigemptyset(&set);
	sigaddset(&set, sig);
	memset(&info, 0, sizeof(info));
	if (syscall(SYS_rt_sigtimedwait, &set, &info, &zero, 8) < 0) // the C library turns SI_TKILL into SI_USER
		fail("signal %d number %ld, wanted it pending, got errno %d", sig, value, errno);
	expect("code", code, info.si_code);
	expect("sender", getpid(), info.si_pid);
	expect("user", getuid(), info.si_uid);
	if (code == SI_QUEUE)
		expect("value", value, (long)info.si_value.sival_ptr);
}

static void *run(void *arg)
{
	long i = (long)arg;
	tids[i] = own_tid();
	sigset_t all, pending;
	sigfillset(&all);
	must_be(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	for (long n = 0; n < QUEUED; n++)
		must_be(pthread_sigqueue(pthread_self(), SIGRTMIN + 3 + (n + i) % 3, (union sigval){ .sival_ptr = (void *)(i << 40 | n) }) == 0);
	must(syscall(SYS_tgkill, getpid(), tids[i], i % 2 ? SIGUSR2 : SIGUSR1));
	arrive_and_wait();
	for (int offset = 0; offset < 3; offset++)
		for (long n = 0; n < QUEUED; n++)
			if ((n + i) % 3 == offset)
				take(SIGRTMIN + 3 + offset, SI_QUEUE, i << 40 | n);
	take(i % 2 ? SIGUSR2 : SIGUSR1, SI_TKILL, 0);
	must(sigpending(&pending));
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGHUP)
			expect("another pending signal", 0, sigismember(&pending, sig));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	sigset_t hup;
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	must(sigprocmask(SIG_BLOCK, &hup, NULL));
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	wait_for_value(&arrived_count, N);
	must(kill(getpid(), SIGHUP));
	ready();
	wait_for_file();
	set_value(&released_word, 1);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	take(SIGHUP, SI_USER, 0);
	sigset_t pending;
	must(sigpending(&pending));
	for (int sig = 1; sig <= 64; sig++)
		expect("another pending signal", 0, sigismember(&pending, sig));
	pass();
}
