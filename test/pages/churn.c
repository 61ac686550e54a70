// SPDX-License-Identifier: GPL-2.0-only
// A tree whose memory is rewritten, grown, cut, moved and forked on command, and that knows what each page has to hold.
// churn BOOK PAGES: commands come with SIGUSR1 and stand in the file BOOK, where each process keeps a book of its own: which
// areas it has, and how often each page of them was written. A page holds its number, that count, and what follows from both.

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define WORDS (PAGE / sizeof(uint64_t))
#define BOOKS 4
#define AREAS 8
#define LARGE 16384
#define TABLE 512 // pages of one page table
#define READ_ONLY 4 // pages at the front that are so at times

enum { WRITE = 1, CHURN, VERIFY, BE_NOBODY };

struct area {
	uint64_t address, pages;
	uint32_t versions[LARGE]; // 0: never written, all zeros
};

struct book {
	uint64_t pid, done, errors, wrote;
	struct area areas[AREAS];
};

static struct header {
	uint64_t command, count, seq, step;
	struct book books[BOOKS];
} *header;
static struct book *own;
static uint64_t pages, seed = 88172645463325252ull;
static pthread_t thread;
static int has_thread;
static volatile uint32_t thread_ends;

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t word(uint64_t area, uint64_t page, uint64_t version, uint64_t at)
{
	uint64_t state = (area << 56 ^ page << 32 ^ version) * 0x9e3779b97f4a7c15ull + at + 1;
	next(&state);
	return at ? next(&state) : area << 56 | page << 32 | version;
}

static uint64_t *at(uint64_t area, uint64_t page)
{
	return (uint64_t *)(own->areas[area].address + page * PAGE);
}

static void write_page(uint64_t area, uint64_t page)
{
	uint32_t version = ++own->areas[area].versions[page];
	for (uint64_t i = 0; i < WORDS; i++)
		at(area, page)[i] = word(area, page, version, i);
}

static void write_some(uint64_t count)
{
	static uint8_t seen[LARGE];
	memset(seen, 0, sizeof(seen));
	own->wrote = 0;
	while (own->wrote < count) {
		uint64_t page = READ_ONLY + next(&seed) % (own->areas[0].pages - READ_ONLY);
		own->wrote += !seen[page];
		seen[page] = 1;
		write_page(0, page);
	}
}

static void verify(void)
{
	for (uint64_t area = 0; area < AREAS; area++)
		for (uint64_t page = 0; page < own->areas[area].pages; page++) {
			uint32_t version = own->areas[area].versions[page];
			for (uint64_t i = 0; i < WORDS; i++)
				if (at(area, page)[i] != (version ? word(area, page, version, i) : 0)) {
					own->errors++;
					break;
				}
		}
}

static void add_area(uint64_t area, void *where, uint64_t length, int flags)
{
	char *address = mmap(where, length * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	if (address == MAP_FAILED)
		abort();
	// Soft-dirty bits note writes to a huge page as one. Kernels without huge pages refuse.
	madvise(address, length * PAGE, MADV_NOHUGEPAGE);
	own->areas[area].address = (uint64_t)address;
	own->areas[area].pages = length;
	memset(own->areas[area].versions, 0, sizeof(own->areas[area].versions));
	for (uint64_t page = 0; page < length; page++)
		write_page(area, page);
}

static void *idle(void *arg)
{
	(void)arg;
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while (!thread_ends)
		usleep(1000);
	return NULL;
}

static void obey(void);

static void fork_child(void)
{
	struct book *book = own + 1;
	while (book->pid)
		if (++book == header->books + BOOKS)
			abort();
	memcpy(book->areas, own->areas, sizeof(book->areas));
	book->done = header->seq;
	book->errors = 0;
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		own = book;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		seed ^= (uint64_t)getpid() << 32;
		for (uint64_t page = 0; page < own->areas[0].pages; page += 3)
			write_page(0, page);
		book->pid = getpid();
		for (;;)
			obey();
	}
	while (!__atomic_load_n(&book->pid, __ATOMIC_ACQUIRE))
		usleep(1000);
}

static void end_child(void)
{
	for (struct book *book = own + 1; book < header->books + BOOKS; book++)
		if (book->pid) {
			kill(book->pid, SIGKILL);
			waitpid(book->pid, NULL, 0);
			book->pid = 0;
			return;
		}
}

static void resize(uint64_t area, uint64_t length)
{
	struct area *it = &own->areas[area];
	// Moved in any case: another mapping is in its way.
	mmap((void *)(it->address + it->pages * PAGE), PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	void *moved = mremap((void *)it->address, it->pages * PAGE, length * PAGE, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED)
		abort();
	it->address = (uint64_t)moved;
	it->pages = length;
}

static char *reserve_table(void)
{
	uint64_t size = TABLE * PAGE;
	char *room = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		abort();
	return (char *)(((uint64_t)room + size - 1) & ~(size - 1));
}

/* An area that fills a page table, without huge pages. */
static void add_table(uint64_t area)
{
	char *where = reserve_table();
	if (mprotect(where, TABLE * PAGE, PROT_READ | PROT_WRITE) || madvise(where, TABLE * PAGE, MADV_NOHUGEPAGE))
		abort();
	own->areas[area].address = (uint64_t)where;
	own->areas[area].pages = TABLE;
	for (uint64_t page = 0; page < TABLE; page++)
		write_page(area, page);
}

static void move_table(void *from, void *to)
{
	if (mremap(from, TABLE * PAGE, TABLE * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		abort();
}

/* Moves two page tables as they are, so that no page of them is touched. */
static void swap_tables(uint64_t area, uint64_t other)
{
	void *here = at(area, 0), *there = at(other, 0), *spare = reserve_table();
	move_table(here, spare);
	move_table(there, here);
	move_table(spare, there);
	own->areas[area].address = (uint64_t)there;
	own->areas[other].address = (uint64_t)here;
}

static void zero(uint64_t area, uint64_t from, uint64_t count)
{
	memset(own->areas[area].versions + from, 0, count * sizeof(uint32_t));
}

static void churn(uint64_t step)
{
	struct area *first = &own->areas[0], *second = &own->areas[2];
	switch (step % 9) {
	case 0: // grows
		add_area(1, NULL, 40, 0);
		add_area(2, NULL, 60, 0);
		add_table(3);
		add_table(4);
		break;
	case 1: // forks, and a thread begins
		thread_ends = 0;
		has_thread = pthread_create(&thread, NULL, idle, NULL) == 0;
		fork_child();
		break;
	case 2: // moves, and grows by that
		resize(1, 60);
		write_page(1, 59);
		swap_tables(3, 4);
		break;
	case 3: // shrinks, from both ends and in the middle
		munmap((void *)(second->address + 50 * PAGE), 10 * PAGE);
		second->pages = 50;
		madvise(at(0, 5), 8 * PAGE, MADV_DONTNEED);
		zero(0, 5, 8);
		break;
	case 4: // a thread ends, another process begins
		thread_ends = 1;
		if (has_thread)
			pthread_join(thread, NULL);
		has_thread = 0;
		fork_child();
		break;
	case 5: // something else takes the place, without being written to
		if (mmap(at(0, 20), 8 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			abort();
		zero(0, 20, 8);
		mprotect((void *)first->address, READ_ONLY * PAGE, PROT_READ);
		break;
	case 6: // a child ends
		end_child();
		break;
	case 7: // the same place anew
		munmap((void *)second->address, second->pages * PAGE);
		add_area(2, (void *)second->address, 30, MAP_FIXED);
		mprotect((void *)first->address, READ_ONLY * PAGE, PROT_READ | PROT_WRITE);
		break;
	case 8: // back and forth
		resize(1, 30);
		resize(1, 50);
		zero(1, 30, 20);
		end_child();
		swap_tables(3, 4);
		break;
	}
}

/* Waits for a command and carries it out. */
static void obey(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (sigwaitinfo(&set, NULL) != SIGUSR1)
		;
	uint64_t seq = header->seq;
	if (seq == own->done)
		return;
	if (own == header->books)
		for (struct book *book = own + 1; book < header->books + BOOKS; book++)
			if (book->pid)
				kill(book->pid, SIGUSR1);
	if (header->command == VERIFY)
		verify();
	if (header->command == CHURN && own == header->books)
		churn(header->step);
	if (header->command == BE_NOBODY && (setgid(65534) || setuid(65534)))
		exit(2);
	if (header->command != VERIFY)
		write_some(header->count);
	__atomic_store_n(&own->done, seq, __ATOMIC_RELEASE);
}

int main(int argc, char **argv)
{
	sigset_t set;
	if (argc != 3)
		return 2;
	int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*header)))
		return 2;
	header = mmap(NULL, sizeof(*header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	pages = strtoul(argv[2], NULL, 10);
	own = header->books;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	add_area(0, NULL, pages, 0);
	own->pid = getpid();
	for (;;)
		obey();
}
