// SPDX-License-Identifier: GPL-2.0-only
// Other attributes that children have each for themselves: oom score, no huge pages, subreaper.
#include "tree.h"

static void put(const char *path, const char *text)
{
	int fd = must(open(path, O_WRONLY | O_CLOEXEC));
	must_be(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void expect_file(const char *path, const char *wanted)
{
	char text[64] = "";
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	expect_text(path, wanted, text);
}

static void run(void *arg)
{
	long number = (long)arg;
	if (number == 0) {
		put("/proc/self/oom_score_adj", "400");
		must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	} else if (number == 1) {
		must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	}
	arrive_and_wait();
	expect_file("/proc/self/oom_score_adj", number == 0 ? "400\n" : "0\n");
	expect("THP disabled", number == 0, prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	int reaper = -1;
	must(prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0));
	expect("subreaper", number == 1, reaper);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[3];
	for (long i = 0; i < 3; i++)
		children[i] = start_child(run, (void *)i);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++)
		check_child(children[i]);
	pass();
}
