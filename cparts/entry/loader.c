/* SPDX-License-Identifier: GPL-2.0-only */
/* Lets dist/criu start where there is no glibc: it does what the kernel does for PT_INTERP, with the host's ld.so where
 * that is a fitting glibc, and else with the one in this executable, whose libraries lie here too. The kernel's stack
 * is left as it is but for four words of the auxiliary vector. Before that it answers `criu --version` by itself: programs
 * that use criu ask for it all the time. */

#include "loader.h"

#define SYS_READ 0
#define SYS_WRITE 1
#define SYS_CLOSE 3
#define SYS_LSEEK 8
#define SYS_MMAP 9
#define SYS_MPROTECT 10
#define SYS_MUNMAP 11
#define SYS_MREMAP 25
#define SYS_EXIT_GROUP 231
#define SYS_OPENAT 257
#define SYS_MEMFD_CREATE 319

#define AT_FDCWD (-100)
#define O_CLOEXEC 02000000
#define EINTR 4
#define EINVAL 22
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_PRIVATE 2
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#define MFD_CLOEXEC 1
#define MFD_NOEXEC_SEAL 8
#define AT_PHDR 3
#define AT_PHNUM 5
#define AT_BASE 7
#define AT_ENTRY 9
#define PT_LOAD 1
#define PT_DYNAMIC 2
#define PF_X 1
#define PF_W 2
#define PF_R 4
#define ET_DYN 3
#define EM_X86_64 62
#define DT_STRTAB 5
#define DT_STRSZ 10

#define PAGE 4096UL
#define page_down(a) ((a) & ~(PAGE - 1))
#define page_up(a) page_down((a) + PAGE - 1)
#define failed(r) ((r) < 0 && (r) > -4096)

struct elf_header {
	unsigned char ident[16];
	unsigned short type, machine;
	unsigned int version;
	unsigned long entry, phoff, shoff;
	unsigned int flags;
	unsigned short ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
	unsigned int type, flags;
	unsigned long offset, vaddr, paddr, filesz, memsz, align;
};

static const char host_loader[] = "/lib64/ld-linux-x86-64.so.2";
/* What dist/criu and its host library ask of glibc; the build checks that it is no more. */
static const char needed_version[] = CR_NEEDED_GLIBC;

static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static int is_same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void __attribute__((noreturn)) give_up(void)
{
	static const char text[] = "error: criu cannot start: there is no memory to load its C library into\n";

	for (;;) {
		call(SYS_WRITE, 2, (long)text, sizeof(text) - 1, 0, 0, 0);
		call(SYS_EXIT_GROUP, 127, 0, 0, 0, 0, 0);
	}
}

static long protection(const struct program_header *p)
{
	return ((p->flags & PF_R) ? PROT_READ : 0) | ((p->flags & PF_W) ? PROT_WRITE : 0) |
	       ((p->flags & PF_X) ? PROT_EXEC : 0);
}

/* They follow the header at once: find_span checks the host's loader, the build checks ours. */
static const struct program_header *headers_of(const struct elf_header *e)
{
	return (const struct program_header *)(e + 1);
}

/* Bytes from the first to the last segment; 0 when this is no loader that we would run. */
static unsigned long find_span(const struct elf_header *e)
{
	const struct program_header *p = headers_of(e);
	unsigned long end = 0;

	if (*(const unsigned int *)e->ident != 0x464c457f || e->ident[4] != 2 || e->type != ET_DYN)
		return 0;
	if (e->machine != EM_X86_64 || e->phentsize != sizeof(*p) || e->phoff != sizeof(*e) || e->phnum > 32)
		return 0;
	for (unsigned i = 0; i < e->phnum; i++) {
		unsigned long last = p[i].vaddr + p[i].memsz;

		if (p[i].type != PT_LOAD)
			continue;
		if (last < p[i].vaddr || last > 1UL << 30 || p[i].filesz > p[i].memsz || page_down(p[i].vaddr) < page_down(end))
			return 0;
		if ((p[i].vaddr - p[i].offset) % PAGE)
			return 0;
		end = last;
	}
	return page_up(end);
}

static int map_segment(int fd, unsigned long base, const struct program_header *p)
{
	unsigned long start = base + page_down(p->vaddr);
	unsigned long file_end = base + p->vaddr + p->filesz;
	unsigned long end = base + page_up(p->vaddr + p->memsz);
	long prot = protection(p);

	if (p->filesz && call(SYS_MMAP, (long)start, (long)(file_end - start), prot, MAP_PRIVATE | MAP_FIXED, fd,
			      (long)page_down(p->offset)) != (long)start)
		return -1;
	if (p->memsz == p->filesz)
		return 0;
	if (prot & PROT_WRITE)
		for (unsigned long at = file_end; at < page_up(file_end); at++)
			*(char *)at = 0;
	start = page_up(file_end);
	if (start < end && call(SYS_MMAP, (long)start, (long)(end - start), prot,
				MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) != (long)start)
		return -1;
	return 0;
}

/* Whether the mapped loader is a glibc with the version that we need: its name is among the loader's own strings. */
static int is_fitting(unsigned long base, unsigned long span)
{
	const struct elf_header *e = (const struct elf_header *)base;
	const struct program_header *p = headers_of(e);
	unsigned long strings = 0, size = 0;

	for (unsigned i = 0; i < e->phnum; i++) {
		const long *d = (const long *)(base + p[i].vaddr);

		if (p[i].type != PT_DYNAMIC || p[i].vaddr + p[i].memsz > span)
			continue;
		for (unsigned long n = p[i].memsz / 16; n && d[0]; n--, d += 2) {
			if (d[0] == DT_STRTAB)
				strings = (unsigned long)d[1];
			if (d[0] == DT_STRSZ)
				size = (unsigned long)d[1];
		}
	}
	if (strings > span || size > span - strings)
		return 0;
	for (unsigned long at = strings + 1; at + sizeof(needed_version) <= strings + size; at++)
		if (is_same((const char *)(base + at), needed_version))
			return 1;
	return 0;
}

/* The host's loader, mapped; 0 when it isn't there or doesn't suit. */
static unsigned long map_host_loader(void)
{
	char first[PAGE] __attribute__((aligned(16)));
	const struct elf_header *e = (const struct elf_header *)first;
	const struct program_header *p = headers_of(e);
	unsigned long span = 0, base = 0;
	long fd = call(SYS_OPENAT, AT_FDCWD, (long)host_loader, O_CLOEXEC, 0, 0, 0);

	if (fd < 0)
		return 0;
	if (call(SYS_READ, fd, (long)first, sizeof(first), 0, 0, 0) == sizeof(first))
		span = find_span(e);
	if (span) {
		long at = call(SYS_MMAP, 0, (long)span, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		int ok = !failed(at);

		base = ok ? (unsigned long)at : 0;
		for (unsigned i = 0; ok && i < e->phnum; i++)
			if (p[i].type == PT_LOAD)
				ok = map_segment((int)fd, base, &p[i]) == 0;
		if (base && !(ok && p[0].type == PT_LOAD && p[0].offset == 0 && is_fitting(base, span))) {
			call(SYS_MUNMAP, (long)base, (long)span, 0, 0, 0, 0);
			base = 0;
		}
	}
	call(SYS_CLOSE, fd, 0, 0, 0, 0, 0);
	return base;
}

/* Our own loader lies here as it has to lie in memory: it's moved, not copied, to where the kernel finds room. */
static unsigned long place_own_loader(void)
{
	long size = (long)cr_pack.loader_size;
	long at = call(SYS_MMAP, 0, size, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct elf_header *e;
	const struct program_header *p;

	if (failed(at) || call(SYS_MREMAP, (long)cr_pack.loader, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, at, 0) != at)
		give_up();
	e = (const struct elf_header *)at;
	p = headers_of(e);
	for (unsigned i = 0; i < e->phnum; i++) {
		long start = at + (long)page_down(p[i].vaddr);
		long end = at + (long)page_up(p[i].vaddr + p[i].memsz);

		if (p[i].type == PT_LOAD && call(SYS_MPROTECT, start, end - start, protection(&p[i]), 0, 0, 0) != 0)
			give_up();
	}
	return (unsigned long)at;
}

static const char *base_name(const char *path)
{
	const char *name = path;

	for (const char *c = path; *c; c++)
		if (*c == '/')
			name = c + 1;
	return name;
}

/* Under another name the program is another one, see src/main.ts. */
static int asks_version(const unsigned long *stack)
{
	const char *const *argv = (const char *const *)(stack + 1);

	return cr_pack.version_size && stack[0] == 2 && is_same(base_name(argv[0]), "criu") &&
	       (is_same(argv[1], "--version") || is_same(argv[1], "-V"));
}

static void __attribute__((noreturn)) tell_version(void)
{
	unsigned long done = 0;
	long n = 1;

	while (done < cr_pack.version_size && (n > 0 || n == -EINTR)) {
		n = call(SYS_WRITE, 1, (long)(cr_pack.version + done), (long)(cr_pack.version_size - done), 0, 0, 0);
		if (n > 0)
			done += (unsigned long)n;
	}
	for (;;)
		call(SYS_EXIT_GROUP, done < cr_pack.version_size, 0, 0, 0, 0, 0);
}

/* The first code of the process. `stack`: argc, argv..., NULL, envp..., NULL, auxv. Gives where ld.so begins. */
unsigned long cr_pack_start_loader(unsigned long *stack);
unsigned long cr_pack_start_loader(unsigned long *stack)
{
	unsigned long *at = stack + 1 + *stack + 1;
	unsigned long base;

	if (asks_version(stack))
		tell_version();
	base = map_host_loader();
	if (!base)
		base = place_own_loader();
	while (*at)
		at++;
	for (at++; *at; at += 2) {
		if (at[0] == AT_PHDR)
			at[1] = cr_pack.headers;
		if (at[0] == AT_PHNUM)
			at[1] = cr_pack.header_count;
		if (at[0] == AT_ENTRY)
			at[1] = cr_pack.entry;
		if (at[0] == AT_BASE)
			at[1] = base;
	}
	return base + ((const struct elf_header *)base)->entry;
}

static const struct cr_pack_library *find_library(const char *path)
{
	const char *name = base_name(path);

	for (unsigned i = 0; i < cr_pack.library_count; i++)
		if (is_same(cr_pack.libraries[i].name, name))
			return &cr_pack.libraries[i];
	return 0;
}

static long open_library(const struct cr_pack_library *library)
{
	long name = (long)library->name;
	long fd = call(SYS_MEMFD_CREATE, name, MFD_CLOEXEC | MFD_NOEXEC_SEAL, 0, 0, 0, 0);

	if (fd == -EINVAL)
		fd = call(SYS_MEMFD_CREATE, name, MFD_CLOEXEC, 0, 0, 0, 0);
	if (fd < 0)
		return fd;
	for (unsigned long done = 0; done < library->size;) {
		long n = call(SYS_WRITE, fd, (long)(library->bytes + done), (long)(library->size - done), 0, 0, 0);

		if (n <= 0) {
			call(SYS_CLOSE, fd, 0, 0, 0, 0, 0);
			return n < 0 ? n : -EINVAL;
		}
		done += (unsigned long)n;
	}
	call(SYS_LSEEK, fd, 0, 0, 0, 0, 0);
	return fd;
}

/* Our ld.so's open: a library that lies here is given as a file without a name, anything else comes from the disk. */
long cr_pack_open_file(const char *path, long flags, long mode);
long cr_pack_open_file(const char *path, long flags, long mode)
{
	const struct cr_pack_library *library = find_library(path);

	return library ? open_library(library) : call(SYS_OPENAT, AT_FDCWD, (long)path, flags, mode, 0, 0);
}
