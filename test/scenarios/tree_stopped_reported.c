// SPDX-License-Identifier: GPL-2.0-only
// A stopped child whose stop the parent has already heard of: after the restore there's no news of it a second time.
// @skip-ours it is stopped anew, which is news again
// @skip-peer CRIU 4.1.1 stops it anew, which is news again
// @skip-mode leave-stopped that children stop and go on is news to their parent
#include "tree.h"

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_sleeper();
	must(kill(child, SIGSTOP));
	int status;
	expect("stopped child", child, waitpid(child, &status, WUNTRACED));
	ready();
	wait_for_trigger();
	expect("state", 'T', state_letter(child));
	expect("news", 0, waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG));
	must(kill(child, SIGCONT));
	expect("continued child", child, waitpid(child, &status, WCONTINUED));
	must_be(WIFCONTINUED(status));
	check_child(child);
	pass();
}
