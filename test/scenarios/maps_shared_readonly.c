// SPDX-License-Identifier: GPL-2.0-only
// A shared mapping of a file opened read-only can't be made writable; one opened for writing can. Also of a 0400 file.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int rw = must(open("file", O_RDWR | O_CREAT | O_EXCL, 0400));
	must_be(write(rw, "content", 7) == 7);
	int ro = must(open("file", O_RDONLY));
	char *a = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0)), *b = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rw, 0));
	close(ro);
	close(rw);
	ready();
	wait_for_trigger();
	expect_text("read-only one", "content", a);
	expect("mprotect of the read-only one", -1, mprotect(a, PAGE, PROT_READ | PROT_WRITE));
	expect("its errno", EACCES, errno);
	must(mprotect(b, PAGE, PROT_READ | PROT_WRITE));
	b[0] = 'C';
	expect_text("seen by the other", "Content", a);
	pass();
}
