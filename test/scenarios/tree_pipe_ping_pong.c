// SPDX-License-Identifier: GPL-2.0-only
// Parent and child play ping-pong over two pipes at full speed: no ball is lost or doubled.
// @busy children
// @storm 20
// @may-differ (proc/\d+/)?(stat/state|status/State|stat/blocked|status/SigBlk) they run
// @may-differ (proc/\d+/)?fd/.* they're reading and writing
// @trigger file
#include "tree.h"

static int there[2], back[2];

static void run(void *arg)
{
	(void)arg;
	arrive();
	long ball, wanted = 0;
	while (read(there[0], &ball, sizeof(ball)) == sizeof(ball) && ball >= 0) {
		expect("ball", wanted, ball);
		wanted = ball + 2;
		ball++;
		must_be(write(back[1], &ball, sizeof(ball)) == sizeof(ball));
	}
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(pipe(there));
	must(pipe(back));
	char path[512];
	snprintf(path, sizeof(path), "%s.go", scenario_out_path);
	pid_t child = start_child(run, NULL);
	ready();
	long ball = 0, got;
	for (; ball < 10000 || access(path, F_OK) < 0; ball += 2) {
		must_be(write(there[1], &ball, sizeof(ball)) == sizeof(ball));
		must_be(read(back[0], &got, sizeof(got)) == sizeof(got));
		expect("ball", ball + 1, got);
		breathe(ball / 2);
	}
	ball = -1;
	must_be(write(there[1], &ball, sizeof(ball)) == sizeof(ball));
	expect_exit(child, 0);
	pass();
}
