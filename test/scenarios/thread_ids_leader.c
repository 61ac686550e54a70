// SPDX-License-Identifier: GPL-2.0-only
// The main thread is 12:8 and its thread 99:99, both with just the capabilities to change ids, kept over the change.
// @cflags -pthread
// @trigger file
// @peer-needs cap:sys_resource
#include "threads.h"
#include <linux/capability.h>
#include <sys/prctl.h>

static void take_ids(uid_t uid, gid_t gid)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	data[0].permitted = data[0].effective = 1 << CAP_SETGID | 1 << CAP_SETUID;
	must(syscall(SYS_capset, &header, data));
	must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	must(syscall(SYS_setresgid, gid, gid, gid));
	must(syscall(SYS_setresuid, uid, uid, uid));
}

static void check_ids(uid_t uid, gid_t gid)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	uid_t r, e, s;
	must(syscall(SYS_getresuid, &r, &e, &s));
	must_be(r == uid && e == uid && s == uid);
	must(syscall(SYS_getresgid, &r, &e, &s));
	must_be(r == gid && e == gid && s == gid);
	must(syscall(SYS_capget, &header, data));
	expect("permitted capabilities", 1 << CAP_SETGID | 1 << CAP_SETUID, data[0].permitted);
	expect("effective capabilities", 0, data[0].effective);
	expect("keepcaps", 1, prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
}

static void *run(void *arg)
{
	take_ids(99, 99);
	arrive_and_wait();
	check_ids(99, 99);
	return (char *)arg + 1;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(fchmod(scenario_out, 0666));
	pthread_t thread = start_thread(run, (void *)41);
	wait_for_value(&arrived_count, 1);
	take_ids(12, 8);
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	ready();
	wait_for_file();
	check_ids(12, 8);
	set_value(&released_word, 1);
	expect("result", 42, (long)join_thread(thread));
	pass();
}
