// SPDX-License-Identifier: GPL-2.0-only
// A program that has unmapped its vdso gets none back.
#include "scenario.h"

static int count_vdso(int unmap)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned long start[8], end[8];
	int n = 0;
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[vdso]") || strstr(line, "[vvar"))
			must_be(sscanf(line, "%lx-%lx", &start[n], &end[n]) == 2 && ++n < 8);
	fclose(maps);
	for (int i = 0; unmap && i < n; i++)
		must(syscall(SYS_munmap, start[i], end[i] - start[i]));
	return n;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	count_vdso(1);
	expect("vdso mappings before", 0, count_vdso(0));
	ready();
	wait_for_trigger();
	expect("vdso mappings", 0, count_vdso(0));
	pass();
}
