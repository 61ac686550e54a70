// SPDX-License-Identifier: GPL-2.0-only
// Functions in the vdso, found before the checkpoint by their address, still work and tell the right time.
#include "scenario.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/time.h>

typedef int (*gettime_fn)(clockid_t, struct timespec *);
typedef long (*getcpu_fn)(unsigned *, unsigned *, void *);

static void *find(const char *name)
{
	char *base = (char *)getauxval(AT_SYSINFO_EHDR);
	if (!base)
		skip("no vdso");
	Elf64_Ehdr *header = (Elf64_Ehdr *)base;
	Elf64_Phdr *program = (Elf64_Phdr *)(base + header->e_phoff);
	Elf64_Dyn *dynamic = NULL;
	for (int i = 0; i < header->e_phnum; i++)
		if (program[i].p_type == PT_DYNAMIC)
			dynamic = (Elf64_Dyn *)(base + program[i].p_offset);
	Elf64_Sym *symbols = NULL;
	const char *strings = NULL;
	for (Elf64_Dyn *d = dynamic; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			symbols = (Elf64_Sym *)(base + d->d_un.d_ptr);
		if (d->d_tag == DT_STRTAB)
			strings = base + d->d_un.d_ptr;
	}
	for (Elf64_Sym *s = symbols; (const char *)s < strings; s++)
		if (!strcmp(strings + s->st_name, name))
			return base + s->st_value;
	skip("no %s in the vdso", name);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	gettime_fn gettime = (gettime_fn)find("__vdso_clock_gettime");
	getcpu_fn getcpu = (getcpu_fn)find("__vdso_getcpu");
	struct timespec before, after, kernel;
	must(gettime(CLOCK_MONOTONIC, &before));
	ready();
	wait_for_trigger();
	must(gettime(CLOCK_MONOTONIC, &after));
	must(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &kernel));
	must_be(after.tv_sec > before.tv_sec || (after.tv_sec == before.tv_sec && after.tv_nsec >= before.tv_nsec));
	must_be(kernel.tv_sec - after.tv_sec <= 2);
	struct timeval tv;
	must(gettimeofday(&tv, NULL));
	must_be(labs((long)(tv.tv_sec - time(NULL))) <= 2);
	unsigned cpu = 99999, node = 99999;
	must(getcpu(&cpu, &node, NULL));
	must_be(cpu != 99999);
	pass();
}
