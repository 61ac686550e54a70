// SPDX-License-Identifier: GPL-2.0-only
// A read of an empty pipe goes on; data written later by the handler of the trigger ends it.
#include "scenario.h"

static int ends[2];
static void on_trigger(int sig)
{
	(void)sig;
	scenario_triggered = 1;
	if (write(ends[1], "late", 4) != 4)
		_exit(9);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(pipe(ends));
	struct sigaction act = { .sa_handler = on_trigger, .sa_flags = SA_RESTART };
	must(sigaction(SIGTERM, &act, NULL));
	char text[8] = { 0 };
	ready();
	expect("bytes read", 4, read(ends[0], text, 7));
	expect_text("data", "late", text);
	expect("ended by the trigger", 1, scenario_triggered);
	pass();
}
