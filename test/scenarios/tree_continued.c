// SPDX-License-Identifier: GPL-2.0-only
// A child that was stopped and continued, both heard of, goes on without news.
// @skip-mode leave-stopped that children stop and go on is news to their parent
#include "tree.h"

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_sleeper();
	int status;
	for (int i = 0; i < 3; i++) {
		must(kill(child, SIGSTOP));
		expect("stopped child", child, waitpid(child, &status, WUNTRACED));
		must(kill(child, SIGCONT));
		expect("continued child", child, waitpid(child, &status, WCONTINUED));
	}
	ready();
	wait_for_trigger();
	expect("news", 0, waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG));
	check_child(child);
	pass();
}
