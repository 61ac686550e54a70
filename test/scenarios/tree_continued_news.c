// SPDX-License-Identifier: GPL-2.0-only
// A child that was stopped and continued: that it goes on, unread before, can be read after.
// @skip-peer CRIU 4.1.1 has no place for that news in its images
// @skip-mode leave-stopped that children stop and go on is news to their parent
#include "tree.h"

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_sleeper();
	int status;
	must(kill(child, SIGSTOP));
	expect("stopped child", child, waitpid(child, &status, WUNTRACED));
	must(kill(child, SIGCONT));
	siginfo_t info;
	must(waitid(P_PID, child, &info, WCONTINUED | WNOWAIT));
	ready();
	wait_for_trigger();
	expect("continued child", child, waitpid(child, &status, WCONTINUED | WNOHANG));
	must_be(WIFCONTINUED(status));
	expect("more news", 0, waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG));
	check_child(child);
	pass();
}
