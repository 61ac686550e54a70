// SPDX-License-Identifier: GPL-2.0-only
// A stopped child with a blocked SIGTSTP pending: continued, it runs; unblocking it then stops it by SIGTSTP.
#include "tree.h"

static void run(void *arg)
{
	sigset_t stop;
	(void)arg;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	must(sigprocmask(SIG_BLOCK, &stop, NULL));
	arrive();
	must(kill(getpid(), SIGSTOP));
	must(kill(getppid(), SIGUSR2));
	wait_for_check();
	must(sigprocmask(SIG_UNBLOCK, &stop, NULL));
}

static volatile sig_atomic_t goes_on;
static void on_news(int sig)
{
	(void)sig;
	goes_on = 1;
}

static void worker(void *arg)
{
	(void)arg;
	must(setpgid(0, 0));
	signal(SIGUSR2, on_news);
	int status;
	pid_t child = start_child(run, NULL);
	expect("stopped child", child, waitpid(child, &status, WUNTRACED));
	must(kill(child, SIGTSTP));
	arrive_and_wait();
	expect("state", 'T', state_letter(child));
	must_be(!goes_on);
	must(kill(child, SIGCONT)); // this takes a pending stop signal away
	while (!goes_on)
		usleep(1000);
	must(kill(child, SIGTSTP));
	must(kill(child, SIGUSR1));
	while (waitpid(child, &status, WUNTRACED) != child || WSTOPSIG(status) == SIGSTOP)
		;
	must_be(WIFSTOPPED(status));
	expect("signal of the second stop", SIGTSTP, WSTOPSIG(status));
	must(kill(child, SIGCONT));
	expect_exit(child, 0);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(worker, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	pass();
}
