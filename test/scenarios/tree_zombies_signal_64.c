// SPDX-License-Identifier: GPL-2.0-only
// Zombies keep the signal that they died of, here the last one of all.
// @skip-peer CRIU 4.1.1 takes signal 64 for an exit
#include "tree.h"

static const int signals[] = { 64 };
enum { N = sizeof(signals) / sizeof(*signals) };

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }));
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)); // no core whatever the machine's pattern
	pid_t children[N];
	for (int i = 0; i < N; i++) {
		children[i] = must(fork());
		if (children[i] == 0) {
			signal(signals[i], SIG_DFL);
			sigset_t none;
			sigemptyset(&none);
			sigprocmask(SIG_SETMASK, &none, NULL);
			kill(getpid(), signals[i]);
			for (;;)
				pause();
		}
		await_zombie(children[i]);
	}
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		int status = -1;
		expect("reaped pid", children[i], waitpid(children[i], &status, WNOHANG));
		if (status != signals[i])
			fail("child killed by signal %d, wanted wait status 0x%x, got 0x%x", signals[i], signals[i], status);
	}
	expect_no_child();
	pass();
}
