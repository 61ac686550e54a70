// SPDX-License-Identifier: GPL-2.0-only
// A child with two killing filters (ptrace and statx) hands both on to a grandchild, which dies by SIGSYS of a forbidden call.
// @peer-may-differ s?maps/.* the original joins neighbouring mappings where processes are related
#include "seccomp.h"
#include <sys/wait.h>

static int go[2], down[2];

static void wait_for_end(int fd)
{
	char byte;
	while (read(fd, &byte, 1) < 0)
		;
}

static void be_child(void)
{
	must(close(go[1]));
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(install_rule(SYS_ptrace, SECCOMP_RET_KILL_THREAD, 0));
	must(install_rule(SYS_statx, SECCOMP_RET_KILL_PROCESS, 0));
	pid_t pid = must(fork());
	if (pid == 0) {
		must(close(down[1]));
		wait_for_end(down[0]);
		syscall(SYS_ptrace, 0, 0, 0, 0);
		_exit(1);
	}
	must(close(down[0]));
	wait_for_end(go[0]);
	expect("mode of the child", 2, read_status("self", "Seccomp:"));
	char task[32];
	snprintf(task, sizeof(task), "%d", pid);
	expect("filters of the grandchild", 2, read_status(task, "Seccomp_filters:"));
	must(close(down[1]));
	int status;
	must_be(waitpid(pid, &status, 0) == pid);
	must_be(WIFSIGNALED(status));
	expect("signal that killed the grandchild", SIGSYS, WTERMSIG(status));
	_exit(0);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(pipe(go));
	must(pipe(down));
	pid_t pid = must(fork());
	if (pid == 0)
		be_child();
	must(close(down[0]));
	must(close(down[1]));
	char path[64], task[32];
	snprintf(task, sizeof(task), "%d", pid);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	for (char text[16] = ""; !text[0];) {
		int fd = must(open(path, O_RDONLY));
		must(read(fd, text, sizeof(text)));
		close(fd);
	}
	ready();
	wait_for_trigger();
	expect("mode of the parent", 0, read_status("self", "Seccomp:"));
	must(close(go[1]));
	int status;
	must_be(waitpid(pid, &status, 0) == pid);
	expect("the child's ending", 0, status);
	pass();
}
