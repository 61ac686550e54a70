// SPDX-License-Identifier: GPL-2.0-only
// copy MIB FILE: how long the machine itself takes to copy so much memory into a file by as many threads as it has processors,
// in microseconds: the best of a few rounds, as memory that a virtual machine has given back is slow to get at first. The memory is
// filled before, and the file is there, empty.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)128 << 10)
#define MAX_THREADS 64
#define ROUNDS 3

static char *memory;
static size_t size, threads;
static int file;

static void *copy_part(void *number)
{
	size_t part = size / threads, from = (size_t)number * part;
	size_t end = (size_t)number == threads - 1 ? size : from + part;

	for (size_t at = from; at < end;) {
		size_t piece = end - at < PIECE ? end - at : PIECE;
		ssize_t n = pwrite(file, memory + at, piece, at);
		if (n <= 0)
			exit(1);
		at += n;
	}
	return NULL;
}

static uint64_t now_us(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	size = strtoul(argv[1], NULL, 10) << 20;
	file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file < 0 || memory == MAP_FAILED)
		return 1;
	uint64_t x = 88172645463325252ULL;
	for (size_t at = 0; at < size; at += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		*(uint64_t *)(memory + at) = x;
	}
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	threads = processors < 1 ? 1 : processors > MAX_THREADS ? MAX_THREADS : processors;
	pthread_t list[MAX_THREADS];
	uint64_t best = UINT64_MAX;
	for (int round = 0; round < ROUNDS; round++) {
		if (ftruncate(file, 0) < 0)
			return 1;
		uint64_t begin = now_us();
		for (size_t i = 1; i < threads; i++)
			if (pthread_create(&list[i], NULL, copy_part, (void *)i))
				return 1;
		copy_part(NULL);
		for (size_t i = 1; i < threads; i++)
			pthread_join(list[i], NULL);
		uint64_t took = now_us() - begin;
		best = took < best ? took : best;
	}
	printf("%llu\n", (unsigned long long)best);
	return 0;
}
