// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a program with memory under a protection key, which images can't hold; its rights stay as they are.
// @needs cpu:pku
// @expect refused PROTECTION_KEY
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int key = pkey_alloc(0, 0);
	if (key < 0)
		skip("pkey_alloc: %s", strerror(errno));
	char *at = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(at, PAGE, 1);
	must(pkey_mprotect(at, PAGE, PROT_READ | PROT_WRITE, key));
	must(pkey_set(key, PKEY_DISABLE_WRITE));
	ready();
	wait_for_trigger();
	expect("rights", PKEY_DISABLE_WRITE, pkey_get(key));
	expect_fill("data", at, PAGE, 1);
	pass();
}
