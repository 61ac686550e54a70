// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a trigger of pressure (PSI), which goes on unharmed; files that only tell of pressure are kept.
// @expect refused PRESSURE
// @expect-text has a trigger of pressure
#include "scenario.h"

static const char trigger[] = "some 150000 1000000";

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int idle = open("/proc/pressure/io", O_RDWR), set = open("/proc/pressure/memory", O_RDWR);
	if (set < 0 || write(set, trigger, sizeof(trigger)) != sizeof(trigger))
		skip("pressure: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("a second trigger", -1, write(set, trigger, sizeof(trigger)));
	expect("errno", EBUSY, errno);
	expect("a first trigger", sizeof(trigger), write(idle, trigger, sizeof(trigger)));
	pass();
}
