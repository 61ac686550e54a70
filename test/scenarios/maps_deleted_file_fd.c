// SPDX-License-Identifier: GPL-2.0-only
// A deleted file that's both mapped and open is one and the same file after the restore.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("ghost", O_RDWR | O_CREAT | O_EXCL, 0600));
	must_be(pwrite(fd, "x", 1, 2 * PAGE - 1) == 1);
	char *readonly = must(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	char *private = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE));
	must(unlink("ghost"));
	ready();
	wait_for_trigger();
	expect("last byte", 'x', private[PAGE - 1]);
	must_be(pwrite(fd, "a", 1, 0) == 1);
	must_be(pwrite(fd, "b", 1, PAGE) == 1);
	expect("read-only mapping after pwrite", 'a', readonly[0]);
	expect("private mapping after pwrite", 'b', private[0]);
	struct stat st;
	must(fstat(fd, &st));
	expect("links", 0, st.st_nlink);
	pass();
}
