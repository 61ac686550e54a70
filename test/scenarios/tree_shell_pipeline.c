// SPDX-License-Identifier: GPL-2.0-only
// A shell with a pipeline of programs between the root's pipes: lines read, in flight and yet to come are all put out, once.
#include "tree.h"

static void put(int fd, const char *text)
{
	must_be(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int in[2], out[2];
	must(pipe2(in, O_CLOEXEC));
	must(pipe2(out, O_CLOEXEC));
	pid_t shell = must(fork());
	if (shell == 0) {
		must(dup2(in[0], 0));
		must(dup2(out[1], 1));
		execl("/bin/sh", "sh", "-c", "cat | cat -u | while read -r line; do echo \"<$line>\"; done; echo end", NULL);
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	put(in[1], "first\n");
	char text[256] = "";
	ssize_t n = must(read(out[0], text, sizeof(text) - 1));
	expect_text("output at first", "<first>\n", text);
	for (int i = 0; i < n; i++)
		text[i] = 0;
	put(in[1], "second\n"); // on its way, or waiting in the last pipe
	ready();
	wait_for_trigger();
	put(in[1], "third and last\n");
	close(in[1]);
	size_t have = 0;
	while ((n = read(out[0], text + have, sizeof(text) - have - 1)) > 0)
		have += n;
	text[have] = 0;
	expect_text("output", "<second>\n<third and last>\nend\n", text);
	expect_exit(shell, 0);
	expect_no_child();
	pass();
}
