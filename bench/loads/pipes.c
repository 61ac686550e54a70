// SPDX-License-Identifier: GPL-2.0-only
// pipes FILES PIPES: that many open regular files in the working directory, and pipes with a word in each.
#include "descriptors.h"

static size_t nr_files, nr_pipes;
static int *files;
static int (*pipes)[2];

static int check(void)
{
	uint64_t word;
	for (size_t i = 0; i < nr_pipes; i++)
		if (read(pipes[i][0], &word, sizeof(word)) != sizeof(word) || word != noise(i))
			return 0;
	return check_files(files, nr_files);
}

int main(int argc, char **argv)
{
	nr_files = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
	nr_pipes = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	allow_descriptors(nr_files + 2 * nr_pipes);
	files = open_files(nr_files);
	pipes = calloc(nr_pipes, sizeof(*pipes));
	need(pipes != NULL, "calloc");
	for (size_t i = 0; i < nr_pipes; i++) {
		uint64_t word = noise(i);
		need(pipe(pipes[i]) == 0, "pipe");
		need(write(pipes[i][1], &word, sizeof(word)) == sizeof(word), "write");
	}
	tell_ready();
	wait_and_check(check);
}
