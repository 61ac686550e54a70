// SPDX-License-Identifier: GPL-2.0-only
// Children with fewer capabilities: in the bounding set, in the permitted and effective ones, with no_new_privs.
#include "tree.h"
#include <linux/capability.h>

static void get(struct __user_cap_data_struct *data)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	must(syscall(SYS_capget, &header, data));
}

static void run(void *arg)
{
	long number = (long)arg;
	struct __user_cap_data_struct now[2], before[2];
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	if (number == 1)
		must(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0));
	get(before);
	if (number == 2) {
		before[0].effective &= ~(1U << CAP_NET_RAW);
		before[0].inheritable |= 1U << CAP_CHOWN;
		must(syscall(SYS_capset, &header, before));
		must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	} else if (number == 3) {
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	}
	get(before);
	arrive_and_wait();
	get(now);
	expect_bytes("capabilities", before, now, sizeof(now));
	expect("CAP_SYS_TIME in the bounding set", number != 1, prctl(PR_CAPBSET_READ, CAP_SYS_TIME, 0, 0, 0));
	expect("CAP_CHOWN in the ambient set", number == 2, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	expect("no_new_privs", number == 3, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[4];
	for (long i = 0; i < 4; i++)
		children[i] = start_child(run, (void *)i);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 4; i++)
		check_child(children[i]);
	pass();
}
