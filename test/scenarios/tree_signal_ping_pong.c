// SPDX-License-Identifier: GPL-2.0-only
// Parent and child play ping-pong by real-time signals that carry a number, at full speed: none is lost, doubled or changed.
// @busy children
// @storm 20
// @may-differ (proc/\d+/)?(stat/(state|blocked|signal)|status/(State|SigBlk|SigPnd|ShdPnd)) they run
// @trigger file
#include "tree.h"

static int take(sigset_t *set, pid_t from)
{
	siginfo_t info;
	int sig;
	while ((sig = sigwaitinfo(set, &info)) < 0 && errno == EINTR)
		;
	expect("signal", SIGRTMIN, sig);
	expect("sender", from, info.si_pid);
	return info.si_value.sival_int;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	pid_t child = must(fork());
	if (child == 0) {
		for (int wanted = 0;; wanted += 2) {
			int ball = take(&set, root_pid);
			if (ball < 0)
				_exit(0);
			expect("ball", wanted, ball);
			must(sigqueue(root_pid, SIGRTMIN, (union sigval){ .sival_int = ball + 1 }));
		}
	}
	char path[512];
	snprintf(path, sizeof(path), "%s.go", scenario_out_path);
	ready();
	for (int ball = 0; ball < 10000 || access(path, F_OK) < 0; ball += 2) {
		must(sigqueue(child, SIGRTMIN, (union sigval){ .sival_int = ball }));
		expect("ball", ball + 1, take(&set, child));
		breathe(ball / 2);
	}
	must(sigqueue(child, SIGRTMIN, (union sigval){ .sival_int = -1 }));
	expect_exit(child, 0);
	pass();
}
