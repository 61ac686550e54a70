// SPDX-License-Identifier: GPL-2.0-only
// Two threads write to memory in turn, so that any instant of it can be told from any other.
// steps PAGE N [thp | user]: step t writes t to the shared counter, then to page t % N of the first area, then of the second; a
// user without privileges, who has huge pages as well, lets the kernel write to that. PAGE is a file for the harness: step,
// errors, what to do (1: map and unmap the second area's end, where nothing is written, all the time; 2: slowly; 4: have more
// heap all the time).

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WORDS 512ul
#define SPARE 256ul

static volatile uint64_t *page, *shared;
static uint64_t *areas[2], pages;
static int queue[2];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* What page p holds when t was the last step: the latest step whose turn it was; 0 when there was none. */
static uint64_t wanted(uint64_t t, uint64_t p)
{
	uint64_t back = (t + pages - p) % pages;
	return back < t ? t - back : 0;
}

static void step(void)
{
	uint64_t t = *shared + 1;
	*shared = t;
	for (int a = 0; a < 2; a++) {
		uint64_t *to = areas[a] + t % pages * WORDS;
		if (*to != wanted(t - 1, t % pages) || to[WORDS - 1] != *to)
			page[1]++;
		if (!a || !queue[1])
			*to = t;
		else if (write(queue[1], &t, 8) != 8 || read(queue[0], to, 8) != 8)
			page[1]++;
		to[WORDS - 1] = t;
	}
	page[0] = t;
}

static void churn(void)
{
	char *spare = (char *)(areas[1] + pages * WORDS);
	munmap(spare, SPARE * 4096);
	if (mmap(spare, SPARE * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != spare)
		page[1]++;
	memset(spare, 1, SPARE * 4096);
}

__attribute__((noreturn)) static void *work(void *arg)
{
	(void)arg;
	for (uint64_t i = 0;; i++) {
		/* Kind to the machine: about 100,000 steps a second, or 100. */
		int slow = page[2] & 2;
		pthread_mutex_lock(&turn);
		step();
		if (page[2] & 1 && i % (slow ? 8 : 256) == 0)
			churn();
		if (page[2] & 4 && i % (slow ? 4 : 64) == 0)
			*(volatile char *)sbrk(4096) = 1;
		pthread_mutex_unlock(&turn);
		if (slow || i % 32 == 31)
			nanosleep(&(struct timespec){ 0, slow ? 20000000 : 200000 }, NULL);
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int fd = argc > 2 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;
	if (fd < 0 || ftruncate(fd, 4096))
		return 2;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	close(fd);
	pages = strtoul(argv[2], NULL, 10);
	for (int a = 0; a < 2; a++) {
		uint64_t bytes = (pages + SPARE) * 4096;
		areas[a] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (argc > 3)
			madvise(areas[a], bytes, MADV_HUGEPAGE);
		memset(areas[a], 1, bytes);
		memset(areas[a], 0, pages * 4096);
	}
	/* Where they are, for the harness. */
	page[3] = (uint64_t)areas[0];
	page[4] = (uint64_t)areas[1];
	for (uint64_t t = 0; t < pages; t++)
		step();
	page[5] = getpid();
	if (argc > 3 && !strcmp(argv[3], "user") && (pipe(queue) || setgid(65534) || setuid(65534)))
		return 2;
	pthread_create(&thread, NULL, work, NULL);
	work(NULL);
}
