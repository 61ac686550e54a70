// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a thread in a UTS namespace of its own.
// @cflags -pthread
// @expect refused THREAD_UNSHARED
#include "threads.h"
#include <sched.h>
#include <sys/utsname.h>

static void *run(void *arg)
{
	struct utsname name;
	if (unshare(CLONE_NEWUTS) < 0)
		skip("unshare of the UTS namespace: %s", strerror(errno));
	must(sethostname("in-a-thread", 11));
	arrive_and_wait();
	must(uname(&name));
	expect_text("host name in the thread", "in-a-thread", name.nodename);
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread = start_thread(run, NULL);
	checkpoint_threads(1);
	struct utsname name;
	must(uname(&name));
	must_be(strcmp(name.nodename, "in-a-thread"));
	join_thread(thread);
	pass();
}
