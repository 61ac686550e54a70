// SPDX-License-Identifier: GPL-2.0-only
// Zombies keep their exit codes, from 0 to 127, until their parent waits for them.
#include "tree.h"

static const int codes[] = { 0, 1, 2, 3, 42, 63, 64, 126, 127 };
enum { N = sizeof(codes) / sizeof(*codes) };

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[N];
	for (int i = 0; i < N; i++) {
		children[i] = must(fork());
		if (children[i] == 0)
			_exit(codes[i]);
		await_zombie(children[i]);
	}
	ready();
	wait_for_trigger();
	for (int i = N - 1; i >= 0; i--) {
		int status = -1;
		expect("state", 'Z', state_letter(children[i]));
		expect("reaped pid", children[i], waitpid(children[i], &status, WNOHANG));
		expect("wait status", codes[i] << 8, status);
	}
	expect_no_child();
	pass();
}
