// SPDX-License-Identifier: GPL-2.0-only
// Children that have become other programs: cat on a pipe, a shell that takes commands, another one with cat below it. Each
// still works.
#include "tree.h"

static pid_t start_program(char *const *argv, int *in, int *out)
{
	int to[2], from[2];
	must(pipe2(to, O_CLOEXEC));
	must(pipe2(from, O_CLOEXEC));
	pid_t pid = must(fork());
	if (pid == 0) {
		must(dup2(to[0], 0));
		must(dup2(from[1], 1));
		execv(argv[0], argv);
		_exit(1);
	}
	close(to[0]);
	close(from[1]);
	*in = to[1];
	*out = from[0];
	return pid;
}

static void talk(int in, int out, const char *say, const char *wanted)
{
	char text[128] = "";
	must_be(write(in, say, strlen(say)) == (ssize_t)strlen(say));
	for (size_t have = 0; have < strlen(wanted); have += must(read(out, text + have, sizeof(text) - have - 1)))
		;
	expect_text("answer", wanted, text);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	signal(SIGUSR1, SIG_DFL);
	int in[3], out[3];
	pid_t pids[3];
	pids[0] = start_program((char *[]){ "/bin/cat", NULL }, &in[0], &out[0]);
	pids[1] = start_program((char *[]){ "/bin/sh", NULL }, &in[1], &out[1]);
	pids[2] = start_program((char *[]){ "/bin/sh", "-c", "x=before; cat; echo $x", NULL }, &in[2], &out[2]);
	talk(in[0], out[0], "hello\n", "hello\n");
	talk(in[1], out[1], "x=5; echo $x\n", "5\n");
	talk(in[2], out[2], "one\n", "one\n");
	ready();
	wait_for_trigger();
	talk(in[0], out[0], "world\n", "world\n");
	talk(in[1], out[1], "echo $((x + 2)); exec 2>/dev/null; /bin/echo by another\n", "7\nby another\n");
	talk(in[2], out[2], "two\n", "two\n");
	close(in[2]);
	char text[16] = "";
	must_be(read(out[2], text, sizeof(text)) == 7);
	expect_text("the shell's variable", "before\n", text);
	expect_exit(pids[2], 0);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		expect_exit(pids[i], 0);
	}
	pass();
}
