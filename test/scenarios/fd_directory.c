// SPDX-License-Identifier: GPL-2.0-only
// Open directories, one of them read half way.
#include "scenario.h"
#include <dirent.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("dir", 0700));
	for (int i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof(name), "dir/file%d", i);
		close(must(open(name, O_WRONLY | O_CREAT | O_EXCL, 0600)));
	}
	int fd = must(open("dir", O_RDONLY | O_DIRECTORY)), plain = must(open("dir", O_RDONLY));
	static char buffer[256];
	long n = must(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
	must_be(n > 0);
	off_t at = must(lseek(fd, 0, SEEK_CUR));
	ready();
	wait_for_trigger();
	expect("position in the directory", at, lseek(fd, 0, SEEK_CUR));
	must(faccessat(plain, "file7", F_OK, 0));
	int more = 0;
	while ((n = must(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)))) > 0)
		more++;
	must_be(more > 0);
	pass();
}
