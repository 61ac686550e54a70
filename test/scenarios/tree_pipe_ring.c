// SPDX-License-Identifier: GPL-2.0-only
// A ring of eight processes joined by pipes, each blocked in read; some tokens wait in the pipe that the root ends. After the
// restore they go round fifty times, each counting its rounds.
#include "tree.h"

enum { N = 8, TOKENS = 3, ROUNDS = 50 };
static int ends[N + 1][2]; // number N: of N - 1 to the root

static void run(void *arg)
{
	long number = (long)arg;
	for (int i = 0; i <= N; i++) {
		if (i != number)
			close(ends[i][0]);
		if (i != number + 1)
			close(ends[i][1]);
	}
	arrive();
	for (char token; read(ends[number][0], &token, 1) == 1;)
		must_be(write(ends[number + 1][1], &token, 1) == 1);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	for (int i = 0; i <= N; i++)
		must(pipe(ends[i]));
	pid_t children[N];
	for (long i = 0; i < N; i++)
		children[i] = start_child(run, (void *)i);
	for (int i = 0; i <= N; i++) {
		if (i != N)
			close(ends[i][0]);
		if (i != 0)
			close(ends[i][1]);
	}
	must_be(write(ends[0][1], "abc", TOKENS) == TOKENS);
	int waiting = 0;
	while (waiting < TOKENS) { // all have gone round once
		must(syscall(SYS_ioctl, ends[N][0], 0x541b, &waiting)); // FIONREAD
		usleep(500);
	}
	ready();
	wait_for_trigger();
	int rounds[TOKENS] = { 0 }, left = TOKENS;
	for (char token; left > 0 && read(ends[N][0], &token, 1) == 1;) {
		must_be(token >= 'a' && token < 'a' + TOKENS);
		if (++rounds[token - 'a'] == ROUNDS)
			left--;
		else
			must_be(write(ends[0][1], &token, 1) == 1);
	}
	for (int i = 0; i < TOKENS; i++)
		expect("rounds of a token", ROUNDS, rounds[i]);
	close(ends[0][1]);
	for (int i = 0; i < N; i++)
		expect_exit(children[i], 0); // each ends as the one before has closed its pipe
	char byte;
	expect("end of the last pipe", 0, read(ends[N][0], &byte, 1));
	pass();
}
