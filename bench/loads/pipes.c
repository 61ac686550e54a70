// SPDX-License-Identifier: GPL-2.0-only
// pipes FILES PIPES: that many open regular files in the working directory, each with a position of its own, and pipes with
// a word in each.
#include "target.h"
#include <fcntl.h>
#include <sys/resource.h>

static size_t nr_files, nr_pipes;
static int *files;
static int (*pipes)[2];

static int check(void)
{
	uint64_t word;
	for (size_t i = 0; i < nr_files; i++)
		if (lseek(files[i], 0, SEEK_CUR) != (off_t)(i % 8))
			return 0;
	for (size_t i = 0; i < nr_pipes; i++)
		if (read(pipes[i][0], &word, sizeof(word)) != sizeof(word) || word != noise(i))
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	nr_files = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
	nr_pipes = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	struct rlimit limit = { nr_files + 2 * nr_pipes + 64, nr_files + 2 * nr_pipes + 64 };
	need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
	files = calloc(nr_files, sizeof(*files));
	pipes = calloc(nr_pipes, sizeof(*pipes));
	need(files != NULL && pipes != NULL, "calloc");
	for (size_t i = 0; i < nr_files; i++) {
		char name[32];
		snprintf(name, sizeof(name), "file-%zu", i);
		files[i] = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		need(files[i] >= 0, name);
		need(write(files[i], "content", 8) == 8, "write");
		need(lseek(files[i], i % 8, SEEK_SET) >= 0, "lseek");
	}
	for (size_t i = 0; i < nr_pipes; i++) {
		uint64_t word = noise(i);
		need(pipe(pipes[i]) == 0, "pipe");
		need(write(pipes[i][1], &word, sizeof(word)) == sizeof(word), "write");
	}
	tell_ready();
	wait_and_check(check);
}
