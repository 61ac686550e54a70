// SPDX-License-Identifier: GPL-2.0-only
// A filter that kills the process for any call but the few that it makes itself, as servers have it: neither dump nor restore
// may make others in its name.
#include "seccomp.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static const int calls[] = { SYS_read, SYS_write, SYS_rt_sigsuspend, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_exit_group };
	enum { N = sizeof(calls) / sizeof(*calls) };
	struct sock_filter code[N + 4] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	for (int i = 0; i < N; i++)
		code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], N - i, 0);
	code[1 + N] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[2 + N] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(install_filter(code, N + 3, 0));
	ready();
	wait_for_trigger();
	pass();
}
