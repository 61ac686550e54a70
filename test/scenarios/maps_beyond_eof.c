// SPDX-License-Identifier: GPL-2.0-only
// Mappings that reach beyond the end of their file: data inside, SIGBUS outside, also where a page was copied before a truncation.
#include "scenario.h"
#include <setjmp.h>

static sigjmp_buf back;
static void on_fault(int sig)
{
	siglongjmp(back, sig);
}
static int signal_at(volatile char *at)
{
	int sig = sigsetjmp(back, 1);
	if (!sig)
		(void)*at;
	return sig;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
	must(ftruncate(fd, 2 * PAGE));
	char *private = must(mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	char *shared = must(mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	fill(shared, PAGE + 100, 5);
	fill(private, PAGE, 6);
	must(ftruncate(fd, PAGE + 100));
	struct sigaction act = { .sa_handler = on_fault };
	must(sigaction(SIGBUS, &act, NULL));
	must(sigaction(SIGSEGV, &act, NULL));
	ready();
	wait_for_trigger();
	expect_fill("copied page", private, PAGE, 6);
	expect_fill("shared data", shared, PAGE + 100, 5);
	expect("signal inside", 0, signal_at(shared + PAGE + 4000));
	for (int i = 2; i < 6; i++) {
		expect("signal beyond the end, shared", SIGBUS, signal_at(shared + i * PAGE));
		expect("signal beyond the end, private", SIGBUS, signal_at(private + i * PAGE));
	}
	pass();
}
