// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a process that has access to all I/O ports (iopl) and isn't root any more.
// @expect refused IO_PORTS
// @expect-text (iopl)
#include "scenario.h"
#include <sys/io.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (iopl(3) < 0 || errno == ENOSYS)
		skip("iopl: %s", strerror(errno));
	must(setresuid(65534, 65534, 65534));
	must(prctl(PR_SET_DUMPABLE, 1));
	ready();
	wait_for_trigger();
	outb(0, 0x80);
	pass();
}
