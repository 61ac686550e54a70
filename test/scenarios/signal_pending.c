// SPDX-License-Identifier: GPL-2.0-only
// Pending signals, standard and 100 queued real-time ones, keep siginfo and order, process-wide and of the thread.
// @trigger file
// @skip-mode leave-stopped the SIGCONT that ends the stop stays pending, being blocked
#include "scenario.h"

static void queue(int thread, int sig, int code, int number)
{
	siginfo_t info;
	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_pid = 1000 + number;
	info.si_uid = 2000 + number;
	info.si_value.sival_ptr = (void *)(0x100000000L * number + number);
	if (thread)
		must(syscall(SYS_rt_tgsigqueueinfo, getpid(), (int)syscall(SYS_gettid), sig, &info));
	else
		must(syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info));
}

static void expect_next(int sig, int code, int number)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, sig);
	siginfo_t info;
	memset(&info, 0, sizeof(info));
	struct timespec zero = { 0, 0 };
	if (sigtimedwait(&set, &info, &zero) < 0)
		fail("signal %d number %d, wanted it pending, got errno %d", sig, number, errno);
	expect("si_signo", sig, info.si_signo);
	expect("si_code", code, info.si_code);
	expect("si_pid", 1000 + number, info.si_pid);
	expect("si_uid", 2000 + number, info.si_uid);
	expect("si_value", 0x100000000L * number + number, (long)info.si_value.sival_ptr);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	must(sigprocmask(SIG_SETMASK, &all, NULL));
	for (int i = 0; i < 50; i++)
		queue(0, SIGRTMIN + 1, -10 - i, i);
	for (int i = 50; i < 90; i++)
		queue(1, SIGRTMIN + 2, SI_QUEUE, i);
	for (int i = 90; i < 100; i++)
		queue(i % 2, SIGRTMAX, -60, i);
	queue(0, SIGUSR1, SI_QUEUE, 200);
	queue(1, SIGUSR2, SI_QUEUE, 201);
	must(kill(getpid(), SIGHUP));
	ready();
	wait_for_file();
	for (int i = 0; i < 50; i++)
		expect_next(SIGRTMIN + 1, -10 - i, i);
	for (int i = 50; i < 90; i++)
		expect_next(SIGRTMIN + 2, SI_QUEUE, i);
	for (int i = 91; i < 100; i += 2) // the thread's own queue comes first
		expect_next(SIGRTMAX, -60, i);
	for (int i = 90; i < 100; i += 2)
		expect_next(SIGRTMAX, -60, i);
	expect_next(SIGUSR1, SI_QUEUE, 200);
	expect_next(SIGUSR2, SI_QUEUE, 201);
	sigset_t pending, hup;
	must(sigpending(&pending));
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGHUP)
			expect("anything else pending", 0, sigismember(&pending, sig));
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	siginfo_t info;
	must_be(sigwaitinfo(&hup, &info) == SIGHUP);
	expect("code of the kill", SI_USER, info.si_code);
	expect("sender of the kill", getpid(), info.si_pid);
	pass();
}
