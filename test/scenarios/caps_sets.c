// SPDX-License-Identifier: GPL-2.0-only
// Capability sets that all differ: effective, permitted, inheritable, ambient, and a bounding set with holes; with securebits.
#include "scenario.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2], got[2];
	const int drop[] = { CAP_SYS_MODULE, CAP_MKNOD, CAP_AUDIT_WRITE, CAP_SYS_TIME };
	for (int i = 0; i < 4; i++)
		must(prctl(PR_CAPBSET_DROP, drop[i], 0, 0, 0));
	int bits = SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_NOROOT;
	must(prctl(PR_SET_SECUREBITS, bits, 0, 0, 0));
	must(syscall(SYS_capget, &header, data));
	for (int w = 0; w < 2; w++)
		data[w].permitted &= w ? 0x3f : 0xff7fffff;
	data[0].inheritable = (1 << CAP_CHOWN | 1 << CAP_KILL | 1 << CAP_NET_ADMIN | 1 << CAP_SYS_PTRACE) & data[0].permitted;
	data[1].inheritable = 0;
	data[0].effective = data[0].permitted & ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_FOWNER);
	data[1].effective = data[1].permitted & ~1;
	must(syscall(SYS_capset, &header, data));
	must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0));
	ready();
	wait_for_trigger();
	must(syscall(SYS_capget, &header, got));
	for (int w = 0; w < 2; w++) {
		expect("effective set", data[w].effective, got[w].effective);
		expect("permitted set", data[w].permitted, got[w].permitted);
		expect("inheritable set", data[w].inheritable, got[w].inheritable);
	}
	for (int i = 0; i <= CAP_LAST_CAP; i++)
		expect("ambient capability", i == CAP_KILL || i == CAP_NET_ADMIN, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0));
	for (int i = 0; i < 4; i++)
		expect("bounding set", 0, prctl(PR_CAPBSET_READ, drop[i], 0, 0, 0));
	expect("securebits", bits, prctl(PR_GET_SECUREBITS));
	pass();
}
