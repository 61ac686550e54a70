// SPDX-License-Identifier: GPL-2.0-only
// Names of threads: all 15 bytes, with odd characters, empty, and the main thread's own.
// @cflags -pthread
// @skip-decode the original's crit knows names in UTF-8 only
#include "threads.h"
#include <sys/prctl.h>

static const char *const names[] = { "fifteen-letters", ") S 1 (x", "", "tab\there", "\xc3\xa9\xff", "plain" };
enum { N = sizeof(names) / sizeof(*names) };

static void *run(void *arg)
{
	const char *name = names[(long)arg];
	must(prctl(PR_SET_NAME, name));
	arrive_and_wait();
	char got[16] = "?";
	must(prctl(PR_GET_NAME, got));
	expect_text("name of a thread", name, got);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	must(prctl(PR_SET_NAME, "the main thread"));
	checkpoint_threads(N);
	char got[16] = "?";
	must(prctl(PR_GET_NAME, got));
	expect_text("name of the main thread", "the main thread", got);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
