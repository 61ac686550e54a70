// SPDX-License-Identifier: GPL-2.0-only
// Stopped children whose stops the parent has already heard of, one with threads and a signal that waits: after the restore
// there's no news of them a second time, no signal either, and they go on as any.
// @cflags -pthread
// @skip-peer CRIU 4.1.1 stops them anew, which is news again
// @skip-mode leave-stopped that children stop and go on is news to their parent
#include "tree.h"
#include <pthread.h>

static volatile sig_atomic_t heard, caught;

static void on_child(int sig)
{
	(void)sig;
	heard++;
}

static void on_signal(int sig)
{
	(void)sig;
	caught++;
}

static void *idle(void *arg)
{
	pause();
	return arg;
}

static void run(void *arg)
{
	struct sigaction action = { .sa_handler = on_signal };
	must(sigaction(SIGUSR2, &action, NULL));
	sigset_t mask, old;
	sigfillset(&mask);
	must(sigprocmask(SIG_BLOCK, &mask, &old));
	pthread_t thread;
	for (int i = 0; i < 2; i++)
		must_be(pthread_create(&thread, NULL, idle, arg) == 0);
	must(sigprocmask(SIG_SETMASK, &old, NULL));
	arrive_and_wait();
	expect("signals that waited", 1, caught);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	struct sigaction action = { .sa_handler = on_child };
	must(sigaction(SIGCHLD, &action, NULL));
	pid_t pids[] = { start_sleeper(), start_child(run, NULL) };
	int status;
	for (int i = 0; i < 2; i++) {
		must(kill(pids[i], SIGSTOP));
		pid_t pid;
		while ((pid = waitpid(pids[i], &status, WUNTRACED)) < 0 && errno == EINTR)
			;
		expect("stopped child", pids[i], pid);
	}
	must(kill(pids[1], SIGUSR2));
	int before = heard;
	ready();
	wait_for_trigger();
	expect("signals of children", before, heard);
	for (int i = 0; i < 2; i++) {
		expect("state", 'T', state_letter(pids[i]));
		expect("news", 0, waitpid(pids[i], &status, WUNTRACED | WCONTINUED | WNOHANG));
		must(kill(pids[i], SIGCONT));
		pid_t pid;
		while ((pid = waitpid(pids[i], &status, WCONTINUED)) < 0 && errno == EINTR)
			;
		expect("continued child", pids[i], pid);
		must_be(WIFCONTINUED(status));
	}
	action.sa_handler = SIG_DFL;
	must(sigaction(SIGCHLD, &action, NULL));
	for (int i = 0; i < 2; i++)
		check_child(pids[i]);
	pass();
}
