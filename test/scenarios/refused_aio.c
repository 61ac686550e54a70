// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a native AIO context, and the program goes on unharmed.
// @expect refused AIO
#include "scenario.h"
#include <linux/aio_abi.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, 4, &context) < 0)
		skip("io_setup: %s", strerror(errno));
	ready();
	wait_for_trigger();
	struct io_event event;
	expect("events", 0, syscall(SYS_io_getevents, context, 0, 1, &event, NULL));
	must(syscall(SYS_io_destroy, context));
	pass();
}
