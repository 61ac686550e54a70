// SPDX-License-Identifier: GPL-2.0-only
// READ_IMPLIES_EXEC: mappings made before stay as they are, mappings made after the restore are executable.
// @skip-peer the original never restores the execution domain
#include "scenario.h"
#include <sys/personality.h>

static int is_executable(void *at)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], perms[8];
	int result = -1;
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx %7s", &start, &end, perms) == 3 && (unsigned long)at >= start && (unsigned long)at < end)
			result = perms[2] == 'x';
	}
	fclose(maps);
	return result;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(personality(READ_IMPLIES_EXEC));
	char *at = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(personality(0));
	char *plain = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(personality(READ_IMPLIES_EXEC));
	ready();
	wait_for_trigger();
	expect("mapping made under the flag", 1, is_executable(at));
	expect("mapping made without it", 0, is_executable(plain));
	char *later = must(mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	expect("mapping made later", 1, is_executable(later));
	pass();
}
