// SPDX-License-Identifier: GPL-2.0-only
// `vdso-caller kept|anew FILE CHILDFILE`: calls functions of its vdso all the time, by the addresses found at its start (kept)
// and by those that its vdso tells then, and writes into FILE what that gave: a counter of rounds, or "bad NAME". A child of
// it does the same with CHILDFILE. For test/engine/foreign-vdso.test.ts.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char *find(const char *name)
{
	char *base = (char *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr *header = (Elf64_Ehdr *)base;
	Elf64_Phdr *program = (Elf64_Phdr *)(base + header->e_phoff);
	char *symbols = NULL, *strings = NULL;
	for (int i = 0; i < header->e_phnum; i++)
		if (program[i].p_type == PT_DYNAMIC)
			for (Elf64_Dyn *d = (Elf64_Dyn *)(base + program[i].p_offset); d->d_tag != DT_NULL; d++) {
				if (d->d_tag == DT_SYMTAB)
					symbols = base + d->d_un.d_ptr;
				if (d->d_tag == DT_STRTAB)
					strings = base + d->d_un.d_ptr;
			}
	for (Elf64_Sym *s = (Elf64_Sym *)symbols; (char *)s < strings; s++)
		if (!strcmp(strings + s->st_name, name))
			return base + s->st_value;
	return NULL;
}

static const char *check(char *gettime, char *gettimeofday_at, char *time_at, char *getcpu)
{
	struct timespec by_vdso, by_kernel;
	struct timeval tv;
	unsigned cpu = -1u;
	if (((int (*)(int, struct timespec *))gettime)(CLOCK_MONOTONIC, &by_vdso))
		return "clock_gettime fails";
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &by_kernel);
	if (labs(by_kernel.tv_sec - by_vdso.tv_sec) > 2)
		return "clock_gettime";
	if (((int (*)(struct timeval *, void *))gettimeofday_at)(&tv, NULL))
		return "gettimeofday fails";
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &by_kernel);
	if (labs(by_kernel.tv_sec - tv.tv_sec) > 2)
		return "gettimeofday";
	if (labs(by_kernel.tv_sec - ((time_t (*)(time_t *))time_at)(NULL)) > 2)
		return "time";
	if (((int (*)(unsigned *, unsigned *, void *))getcpu)(&cpu, NULL, NULL) || cpu == -1u)
		return "getcpu";
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int keeps = !strcmp(argv[1], "kept");
	int fd = open(fork() ? argv[2] : argv[3], O_WRONLY | O_CREAT, 0644);
	static const char *names[] = { "__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_getcpu" };
	char *before[4], *now[4], text[64];
	for (int i = 0; i < 4; i++)
		before[i] = find(names[i]);
	for (unsigned long round = 1;; round++) {
		const char *bad = keeps ? check(before[0], before[1], before[2], before[3]) : NULL;
		for (int i = 0; i < 4; i++)
			if (!(now[i] = find(names[i])))
				bad = "lookup";
		if (!bad)
			bad = check(now[0], now[1], now[2], now[3]);
		if (bad)
			snprintf(text, sizeof(text), "bad %-30s", bad);
		else
			snprintf(text, sizeof(text), "%012lu", round);
		if (fd < 0 || pwrite(fd, text, strlen(text), 0) < 0)
			return 1;
		syscall(SYS_nanosleep, &(struct timespec){ 0, 5000000 }, NULL);
	}
}
