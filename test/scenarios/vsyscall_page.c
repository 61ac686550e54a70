// SPDX-License-Identifier: GPL-2.0-only
// The vsyscall page, where the kernel has one, still answers time().
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char line[512];
	int has = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof(line), maps))
		has |= strstr(line, "[vsyscall]") != NULL;
	fclose(maps);
	if (!has)
		skip("no vsyscall page");
	ready();
	wait_for_trigger();
	long (*vtime)(long *) = (long (*)(long *))0xffffffffff600400UL;
	must_be(labs(vtime(NULL) - (long)time(NULL)) <= 2);
	pass();
}
