// SPDX-License-Identifier: GPL-2.0-only
// An alternate stack that is set but not in use, with SS_AUTODISARM.
#include "scenario.h"
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static char stack[32768];
	stack_t ss = { .ss_sp = stack + 100, .ss_size = 20000, .ss_flags = SS_AUTODISARM }, now;
	must(sigaltstack(&ss, NULL));
	ready();
	wait_for_trigger();
	must(sigaltstack(NULL, &now));
	expect("address", (long)stack + 100, (long)now.ss_sp);
	expect("size", 20000, now.ss_size);
	expect("flags", (unsigned)SS_AUTODISARM, (unsigned)now.ss_flags);
	pass();
}
