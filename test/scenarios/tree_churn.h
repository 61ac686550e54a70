// SPDX-License-Identifier: GPL-2.0-only
// The program of tree_churn.c and tree_churn_slow.c.
#include "tree.h"

enum { TOKENS = 11 };

static int is_triggered(void)
{
	char path[512];
	snprintf(path, sizeof(path), "%s.go", scenario_out_path);
	return access(path, F_OK) == 0;
}

static int reap_some(int flags)
{
	int status, n = 0;
	for (pid_t pid; (pid = waitpid(-1, &status, flags)) > 0; n++)
		if (status != 0)
			fail("child %d, wanted wait status 0, got 0x%x", pid, status);
	return n;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int pipe_ends[2];
	must(pipe(pipe_ends));
	must_be(write(pipe_ends[1], "abcdefghijk", TOKENS) == TOKENS);
	long forked = 0, reaped = 0;
	ready();
	while (!is_triggered() || forked < 200) {
		char token;
		must_be(read(pipe_ends[0], &token, 1) == 1);
		pid_t pid = must(fork());
		if (pid == 0) {
			if (CHILD_SLEEPS_US)
				usleep(CHILD_SLEEPS_US);
			_exit(write(pipe_ends[1], &token, 1) != 1);
		}
		forked++;
		reaped += reap_some(WNOHANG);
	}
	reaped += reap_some(0);
	expect("children reaped", forked, reaped);
	char seen[TOKENS + 1] = "";
	must_be(read(pipe_ends[0], seen, sizeof(seen)) == TOKENS);
	int counts[TOKENS] = { 0 };
	for (int i = 0; i < TOKENS; i++) {
		must_be(seen[i] >= 'a' && seen[i] < 'a' + TOKENS);
		expect("times that a token came back", 1, ++counts[seen[i] - 'a']);
	}
	pass();
}
