// SPDX-License-Identifier: GPL-2.0-only
// Filters of hundreds of instructions and of the greatest length (4,096): each of their rules holds.
#include "seccomp.h"

// Rules for the calls from..from+rules-1, call i answered with error number 1000 + i; padded to the given length.
static void install_rules(int from, int rules, int length)
{
	static struct sock_filter code[4096];
	int n = 0;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < rules; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, from + i, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (1000 + i));
	}
	while (n < length - 1)
		code[n++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, n);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	must(install_filter(code, n, 0));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	install_rules(3000, 200, 402);
	install_rules(5000, 2047, 4096);
	install_rules(8000, 1, 777);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 200; i++)
		expect_errno("rule of the filter of 402", 1000 + i, 3000 + i, 0, 0);
	for (int i = 0; i < 2047; i++)
		expect_errno("rule of the filter of 4096", 1000 + i, 5000 + i, 0, 0);
	expect_errno("rule of the filter of 777", 1000, 8000, 0, 0);
	expect_errno("getppid", 0, SYS_getppid, 0, 0);
	pass();
}
