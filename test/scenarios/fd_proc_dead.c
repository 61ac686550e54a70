// SPDX-License-Identifier: GPL-2.0-only
// Files below /proc of a process that has ended: the working directory, a file read in part, one to be written.
#include "scenario.h"
#include <sys/wait.h>

static void link_of(const char *path, char *text)
{
	text[must(readlink(path, text, 255))] = 0;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char text[256], path[64], cwd[256] = "", link[64], status[256] = "";
	int out = must(open(".", O_PATH | O_DIRECTORY));
	pid_t pid = must(fork());
	if (pid == 0)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	int file = must(open(path, O_RDONLY));
	must_be(read(file, text, 10) == 10);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	int adjust = must(open(path, O_RDWR));
	snprintf(path, sizeof(path), "/proc/%d", pid);
	must(chdir(path));
	must(kill(pid, SIGKILL));
	must(waitpid(pid, NULL, 0));
	link_of("/proc/self/cwd", cwd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	link_of(link, status);
	ready();
	wait_for_trigger();
	expect("getcwd", -1, getcwd(text, sizeof(text)) ? 0 : -1);
	expect("its errno", ENOENT, errno);
	link_of("/proc/self/cwd", text);
	expect_text("link of the working directory", cwd, text);
	link_of(link, text);
	expect_text("link of the file", status, text);
	expect("position of the file", 10, lseek(file, 0, SEEK_CUR));
	expect("what is to be written", -1, write(adjust, "0", 1));
	expect("why not", ESRCH, errno);
	expect("a process of that pid", -1, kill(pid, 0));
	must(fchdir(out));
	pass();
}
