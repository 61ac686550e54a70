// SPDX-License-Identifier: GPL-2.0-only
// A program with a segment of its own (modify_ldt), though no register names it just now.
// @expect refused LDT
// @expect-text has segments of its own
#include "scenario.h"
#include <asm/ldt.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct user_desc own = { .entry_number = 1, .base_addr = 0x1000, .limit = 1, .limit_in_pages = 1, .seg_32bit = 1, .useable = 1 };
	if (syscall(SYS_modify_ldt, 1, &own, sizeof(own)) < 0 && errno == ENOSYS)
		skip("no modify_ldt");
	ready();
	wait_for_trigger();
	unsigned long bytes[2] = { 0 };
	must_be(syscall(SYS_modify_ldt, 0, bytes, sizeof(bytes)) == sizeof(bytes));
	must_be(bytes[1] != 0);
	pass();
}
