// SPDX-License-Identifier: GPL-2.0-only
// Descriptor numbers with gaps up to 900, none of 0, 1 and 2 open, and no other descriptor appears.
#include "scenario.h"
#include <dirent.h>

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const int numbers[] = { 17, 64, 65, 127, 255, 256, 511, 900 };
	int fd = must(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
	for (int i = 0; i < 8; i++) {
		char name[16];
		snprintf(name, sizeof(name), "file%d", numbers[i]);
		int one = must(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
		must(ftruncate(one, numbers[i]));
		must(dup2(one, numbers[i]));
		close(one);
	}
	close(fd);
	for (int i = 0; i < 3; i++)
		close(i);
	int count = count_fds();
	ready();
	wait_for_trigger();
	expect("number of descriptors", count, count_fds());
	for (int i = 0; i < 8; i++) {
		struct stat st;
		must(fstat(numbers[i], &st));
		expect("size of the file", numbers[i], st.st_size);
	}
	pass();
}
