// SPDX-License-Identifier: GPL-2.0-only
// A further SIGSTOP pending for a stopped child as a whole: cancelled by SIGCONT, as it should be.
// @peer-may-differ stat/signal|status/(ShdPnd|SigPnd) the peer drops the second SIGSTOP, as SIGCONT would
// @skip-mode ours-peer CRIU 4.1.1 stops for good when it queues a SIGSTOP
// @skip-mode leave-running a SIGSTOP that waits while stopped is taken by the freeze; SIGCONT would void it
// @skip-mode leave-stopped a SIGSTOP that waits while stopped is taken by the freeze; SIGCONT would void it
// @skip-mode snapshot a SIGSTOP that waits while stopped is taken by the freeze; SIGCONT would void it
#include "tree.h"

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_sleeper();
	int status;
	must(kill(child, SIGSTOP));
	siginfo_t info;
	must(waitid(P_PID, child, &info, WSTOPPED | WNOWAIT));
	must(kill(child, SIGSTOP));
	ready();
	wait_for_trigger();
	expect("stopped child", child, waitpid(child, &status, WUNTRACED | WNOHANG));
	expect("signal of the stop", SIGSTOP, WSTOPSIG(status));
	must(kill(child, SIGCONT));
	expect("continued child", child, waitpid(child, &status, WCONTINUED | WUNTRACED));
	must_be(WIFCONTINUED(status));
	check_child(child);
	pass();
}
