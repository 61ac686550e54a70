// SPDX-License-Identifier: GPL-2.0-only
// A 32-bit program without C library: memory, all registers and a thread-local segment made by set_thread_area are kept.
// @needs ia32
// @cflags -m32 -nostdlib -static -fno-stack-protector -fno-builtin -fno-pic -no-pie -ffreestanding -O1
// @trigger file
// @may-differ s?maps/ffffffffff600000-ffffffffff601000/.* the vsyscall page shows in memory that a 64-bit program began
// @peer-may-differ fd/3/flags the original, being 64-bit, opens files with O_LARGEFILE
static int call(int nr, int a, int b, int c, int d)
{
	int result;
	asm volatile("int $0x80" : "=a"(result) : "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
	return result;
}

static unsigned words[4096], segment[4];
static struct { unsigned entry, base, limit, flags; } area = { -1u, 0, 0xfffff, 0x51 }; // 32-bit, in pages, usable

__attribute__((used)) static void run(int *stack)
{
	const char *path = (const char *)stack[2];
	char go[512];
	int n = 0;
	for (; path[n] && n < 500; n++)
		go[n] = path[n];
	go[n] = '.', go[n + 1] = 'g', go[n + 2] = 'o', go[n + 3] = 0;
	int fd = call(5, (int)path, 02001 /* O_WRONLY|O_APPEND */, 0, 0);
	for (unsigned i = 0; i < 4096; i++)
		words[i] = i * 0x9e3779b9u;
	segment[1] = 0x5e65e6;
	area.base = (unsigned)segment;
	int error = call(243, (int)&area, 0, 0, 0);
	unsigned short selector = area.entry * 8 + 3, gs = 0;
	if (!error)
		asm volatile("movw %0, %%gs" : : "r"(selector));
	call(4, fd, (int)"READY\n", 6, 0);
	int ms[2] = { 0, 2000000 };
	while (call(33, (int)go, 0, 0, 0) < 0)
		call(162, (int)ms, 0, 0, 0);
	unsigned wrong = error ? 2 : 0, through = 0;
	for (unsigned i = 0; i < 4096; i++)
		wrong |= words[i] != i * 0x9e3779b9u;
	asm volatile("movw %%gs, %0" : "=r"(gs));
	if (gs != selector)
		wrong |= 4;
	else
		asm volatile("movl %%gs:4, %0" : "=r"(through));
	if (through != 0x5e65e6)
		wrong |= 8;
	if (wrong) {
		char text[] = "FAIL: wrong: 0\n";
		text[13] += wrong;
		call(4, fd, (int)text, 15, 0);
		call(1, 1, 0, 0, 0);
	}
	call(4, fd, (int)"PASS\n", 5, 0);
	call(1, 0, 0, 0, 0);
}

asm(".text\n.globl _start\n_start: mov %esp, %eax\n sub $12, %esp\n push %eax\n call run\n hlt\n");
