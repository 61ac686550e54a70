// SPDX-License-Identifier: GPL-2.0-only
// What loads with many descriptors share: room for them, and files that can be told from each other.
#ifndef CRIU_BENCH_DESCRIPTORS_H
#define CRIU_BENCH_DESCRIPTORS_H

#include "target.h"
#include <fcntl.h>
#include <sys/resource.h>

// Allows that many descriptors besides the usual ones.
static inline void allow_descriptors(size_t count)
{
	struct rlimit limit = { count + 64, count + 64 };
	need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

// Opens that many regular files in the working directory, each with content and a position of its own.
static inline int *open_files(size_t count)
{
	int *fds = calloc(count, sizeof(*fds));
	need(fds != NULL, "calloc");
	for (size_t i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof(name), "file-%zu", i);
		uint64_t word = noise(i);
		fds[i] = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		need(fds[i] >= 0, name);
		need(write(fds[i], &word, sizeof(word)) == sizeof(word), "write");
		need(lseek(fds[i], i % 8, SEEK_SET) >= 0, "lseek");
	}
	return fds;
}

static inline int check_files(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t word;
		if (lseek(fds[i], 0, SEEK_CUR) != (off_t)(i % 8))
			return 0;
		if (pread(fds[i], &word, sizeof(word), 0) != sizeof(word) || word != noise(i))
			return 0;
	}
	return 1;
}

#endif
