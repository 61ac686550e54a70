// SPDX-License-Identifier: GPL-2.0-only
// Thread-local variables, the FS base, and a GS base set by arch_prctl keep their values.
#include "scenario.h"
#include <asm/prctl.h>

static __thread char text[64] = "initial";
static __thread unsigned long number = 5;

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	strcpy(text, "set before the checkpoint");
	number = 0xfeedfacecafe;
	static unsigned long there[2] = { 0x1234, 0x5678 };
	must(syscall(SYS_arch_prctl, ARCH_SET_GS, there));
	unsigned long fs, gs, word;
	must(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
	ready();
	wait_for_trigger();
	unsigned long fs_now;
	must(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_now));
	must(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
	asm volatile("mov %%gs:8, %0" : "=r"(word));
	expect_text("thread-local text", "set before the checkpoint", text);
	expect("thread-local number", 0xfeedfacecafe, number);
	expect("FS base", fs, fs_now);
	expect("GS base", (long)there, gs);
	expect("word at gs:8", 0x5678, word);
	pass();
}
