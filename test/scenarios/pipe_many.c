// SPDX-License-Identifier: GPL-2.0-only
// 100 pipes with data of their own, some as standard input and output.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	enum { N = 100 };
	int ends[N][2];
	for (int i = 0; i < N; i++) {
		must(pipe(ends[i]));
		must_be(write(ends[i][1], &i, sizeof(i)) == sizeof(i));
	}
	must(dup2(ends[0][0], 0));
	must(dup2(ends[1][1], 1));
	ready();
	wait_for_trigger();
	int got;
	must_be(read(0, &got, sizeof(got)) == sizeof(got));
	expect("through stdin", 0, got);
	must_be(write(1, "z", 1) == 1);
	for (int i = 1; i < N; i++) {
		must_be(read(ends[i][0], &got, sizeof(got)) == sizeof(got));
		expect("number in the pipe", i, got);
	}
	char z;
	must_be(read(ends[1][0], &z, 1) == 1 && z == 'z');
	pass();
}
