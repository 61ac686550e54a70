// SPDX-License-Identifier: GPL-2.0-only
// A 64-bit program that is in 32-bit code just now, as emulators of other systems are: it can't be told from outside what it would need.
// @needs ia32
// @expect refused COMPAT_TASK
// @expect-text is a 64-bit program that is in 32-bit code just now
// @busy
#include "scenario.h"

enum { FLAG = 0x200, STACK = 0x208, POINTER = 0x210, CODE32 = 0x40, BACK = 0x80 };

static unsigned char *page;

static void on_trigger(int sig)
{
	(void)sig;
	*(volatile unsigned *)(page + FLAG) = 1;
}

static void put(unsigned at, const char *bytes, size_t n, unsigned address)
{
	memcpy(page + at, bytes, n);
	memcpy(page + at + n, &address, 4);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	must_be(page != MAP_FAILED);
	unsigned low = (uintptr_t)page;
	must(sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_trigger }, NULL));
	// 64-bit: mov %rsp, STACK; mov $page end, %esp; ljmp *POINTER
	put(0, "\x48\x89\x24\x25", 4, low + STACK);
	put(8, "\xbc", 1, low + PAGE);
	put(13, "\xff\x2c\x25", 3, low + POINTER);
	// 32-bit: cmpl $0, FLAG; je to its start; ljmp $0x33, BACK
	put(CODE32, "\x83\x3d", 2, low + FLAG);
	memcpy(page + CODE32 + 6, "\x00\x74\xf7", 3);
	put(CODE32 + 9, "\xea", 1, low + BACK);
	memcpy(page + CODE32 + 14, "\x33\x00", 2);
	// 64-bit: mov STACK, %rsp; ret
	put(BACK, "\x48\x8b\x24\x25", 4, low + STACK);
	page[BACK + 8] = 0xc3;
	unsigned long pointer = (low + CODE32) | 0x2300000000UL;
	memcpy(page + POINTER, &pointer, 8);
	ready();
	asm volatile("call *%0" : : "r"((unsigned long)low)
		     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
	pass();
}
