// SPDX-License-Identifier: GPL-2.0-only
// PR_SET_MDWE: memory can't be made executable any more, neither by mapping nor by protection; code from before runs on.
// @skip-peer CRIU 4.1.1 does not keep it
#include "scenario.h"
#include <sys/prctl.h>
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	unsigned char *code = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned char *data = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memcpy(code, "\xb8\x39\x30\x00\x00\xc3", 6); // mov $12345, %eax; ret
	must(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
	if (prctl(PR_SET_MDWE, 1, 0, 0, 0) < 0)
		skip("PR_SET_MDWE: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("what the code gives", 12345, ((int (*)(void))code)());
	expect("flags", 1, prctl(PR_GET_MDWE, 0, 0, 0, 0));
	expect("making data executable", -1, mprotect(data, PAGE, PROT_READ | PROT_EXEC));
	expect("errno", EACCES, errno);
	must_be(mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	pass();
}
