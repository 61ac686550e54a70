// SPDX-License-Identifier: GPL-2.0-only
// A child that has become a copy of this program, with arguments and environment of its own, whose file is deleted; its
// own child has the same memory image by fork.
#include "tree.h"
#include <sys/sendfile.h>

static void sleeper_below(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect_text("variable of the environment", "two words", getenv("SPECIAL"));
}

static void as_copy(int gate)
{
	tree_gate = gate;
	must_be(getenv("SPECIAL") && !getenv("HOME"));
	pid_t pid = getpid(), child = 0;
	int saved = tree_gate;
	tree_gate = -1;
	child = start_child(sleeper_below, NULL);
	tree_gate = saved;
	arrive_and_wait();
	expect("pid", pid, getpid());
	expect_text("variable of the environment", "two words", getenv("SPECIAL"));
	char path[512];
	ssize_t n = must(readlink("/proc/self/exe", path, sizeof(path) - 1));
	path[n] = 0;
	must_be(strstr(path, "/copy (deleted)"));
	check_child(child);
}

static void run(void *arg)
{
	(void)arg;
	int from = must(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), to = must(open("copy", O_WRONLY | O_CREAT | O_CLOEXEC, 0700));
	struct stat st;
	must(fstat(from, &st));
	must_be(sendfile(to, from, NULL, st.st_size) == st.st_size);
	close(to);
	char gate[16];
	snprintf(gate, sizeof(gate), "%d", tree_gate);
	must(fcntl(tree_gate, F_SETFD, 0));
	execve("copy", (char *[]){ "copy", (char *)scenario_out_path, gate, "third argument", NULL },
	       (char *[]){ "SPECIAL=two words", NULL });
	fail("execve: errno %d", errno);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	if (argc > 2) {
		must(unlink("copy"));
		as_copy(atoi(argv[2]));
		expect_text("third argument", "third argument", argv[3]);
		return 0;
	}
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	pass();
}
