// SPDX-License-Identifier: GPL-2.0-only
// A process whose first thread has ended: another one has memory, writes to a page of it for every byte that it reads, and tells
// so. At the end of its input it says whether the memory is as it has written it.

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE (1024 * 4096)

static pthread_t first;

static void *run(void *arg)
{
	pthread_join(first, NULL);
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return arg;
	memset(memory, 1, SIZE);
	setvbuf(stdout, NULL, _IONBF, 0);
	puts("ready");
	unsigned count = 0;
	for (char byte; read(0, &byte, 1) == 1; puts("written"))
		memory[4096 * count++] = byte;
	unsigned good = 0;
	for (unsigned i = 0; i < SIZE; i++)
		good += memory[i] == (i % 4096 == 0 && i / 4096 < count ? 'x' : 1);
	puts(good == SIZE ? "intact" : "broken");
	_exit(0);
}

int main(void)
{
	pthread_t thread;
	first = pthread_self();
	if (pthread_create(&thread, NULL, run, NULL))
		return 1;
	pthread_exit(NULL);
}
