// SPDX-License-Identifier: GPL-2.0-only
// What scenario programs with several processes share. A child sets itself up, arrives (its starter waits for that) and
// sleeps in wait_for_check(); check_child() lets it go on with its checks and takes its exit code. A child that fails says so
// itself, by fail(), and everybody above then ends silently. Its own use of the kernel: SIGUSR1 in children, blocked elsewhere.
#ifndef TREE_H
#define TREE_H
#include "scenario.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static pid_t root_pid;
static int tree_gate = -1;
static int arrived_value; // what the child started last has told by arrive_with
static volatile sig_atomic_t tree_checked;

static void tree_on_check(int sig)
{
	(void)sig;
	tree_checked = 1;
}

// First call of main, in place of scenario_start.
__attribute__((unused)) static void tree_start(int argc, char **argv)
{
	scenario_start(argc, argv);
	root_pid = getpid();
	struct sigaction action = { .sa_handler = tree_on_check };
	must(sigaction(SIGUSR1, &action, NULL));
	sigset_t check;
	sigemptyset(&check);
	sigaddset(&check, SIGUSR1);
	must(sigprocmask(SIG_BLOCK, &check, NULL));
}

// In a child: its set-up is done; the value goes to its starter.
__attribute__((unused)) static void arrive_with(int value)
{
	if (write(tree_gate, &value, sizeof(value)) != sizeof(value))
		_exit(3);
	close(tree_gate);
	tree_gate = -1;
}

__attribute__((unused)) static void arrive(void)
{
	arrive_with(0);
}

// In a child: sleeps until its parent checks.
__attribute__((unused)) static void wait_for_check(void)
{
	sigset_t mask;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigdelset(&mask, SIGUSR1);
	while (!tree_checked)
		sigsuspend(&mask);
}

__attribute__((unused)) static void arrive_and_wait(void)
{
	arrive();
	wait_for_check();
}

// Starts a child by clone with the flags (the low byte is the exit signal); returns when it has arrived. The child ends with
// exit code 0 when run returns.
__attribute__((unused)) static pid_t start_child_by(unsigned long flags, void (*run)(void *), void *arg)
{
	int gate[2];
	must(pipe2(gate, O_CLOEXEC));
	pid_t pid = flags == SIGCHLD ? must(fork()) : must(syscall(SYS_clone, flags, NULL, NULL, NULL, NULL));
	if (pid == 0) {
		if (!(flags & CLONE_FILES))
			close(gate[0]);
		if (tree_gate >= 0 && !(flags & CLONE_FILES))
			close(tree_gate);
		tree_gate = gate[1];
		run(arg);
		_exit(0);
	}
	if (!(flags & CLONE_FILES))
		close(gate[1]);
	ssize_t n;
	while ((n = read(gate[0], &arrived_value, sizeof(arrived_value))) < 0 && errno == EINTR)
		;
	if (n == 0)
		_exit(1); // it has said why
	must_be(n == sizeof(arrived_value));
	close(gate[0]);
	return pid;
}

__attribute__((unused)) static pid_t start_child(void (*run)(void *), void *arg)
{
	return start_child_by(SIGCHLD, run, arg);
}

// A child that only sleeps until it's checked, and a run function for such.
__attribute__((unused)) static void sleep_until_check(void *arg)
{
	(void)arg;
	arrive_and_wait();
}

__attribute__((unused)) static pid_t start_sleeper(void)
{
	return start_child(sleep_until_check, NULL);
}

// Reaps a child, which has to have exited with the code.
__attribute__((unused)) static void expect_exit(pid_t pid, int code)
{
	int status;
	pid_t got;
	while ((got = waitpid(pid, &status, __WALL)) < 0 && errno == EINTR)
		;
	expect("reaped pid", pid, got);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1 && code != 1)
		_exit(1); // it has said why
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail("pid %d, wanted exit code %d, got wait status 0x%x", pid, code, status);
}

// Reaps a child, which has to have been killed by the signal.
__attribute__((unused)) static void expect_killed(pid_t pid, int sig)
{
	int status;
	pid_t got;
	while ((got = waitpid(pid, &status, __WALL)) < 0 && errno == EINTR)
		;
	expect("reaped pid", pid, got);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		_exit(1);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != sig)
		fail("pid %d, wanted death by signal %d, got wait status 0x%x", pid, sig, status);
}

// Has a child make its checks and reaps it.
__attribute__((unused)) static void check_child(pid_t pid)
{
	must(kill(pid, SIGUSR1));
	expect_exit(pid, 0);
}

// Ends a child that has nothing to check.
__attribute__((unused)) static void end_child(pid_t pid)
{
	must(kill(pid, SIGKILL));
	expect_killed(pid, SIGKILL);
}

// No child may be left.
__attribute__((unused)) static void expect_no_child(void)
{
	expect("wait with no child left", -1, waitpid(-1, NULL, WNOHANG | __WALL));
	expect("its errno", ECHILD, errno);
}

// A child that has exited or been killed and is left a zombie.
__attribute__((unused)) static void await_zombie(pid_t pid)
{
	siginfo_t info;
	must(waitid(P_PID, pid, &info, WEXITED | WNOWAIT | __WALL));
	expect("pid of the zombie", pid, info.si_pid);
}

// State letter from /proc/PID/stat.
__attribute__((unused)) static char state_letter(pid_t pid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	ssize_t n = must(read(fd, text, sizeof(text) - 1));
	close(fd);
	text[n] = 0;
	return strrchr(text, ')')[2];
}

// Waits for another process to fall asleep in a system call: there's no event for that.
__attribute__((unused)) static void await_asleep(pid_t pid)
{
	while (state_letter(pid) != 'S')
		usleep(500);
}

__attribute__((unused)) static void *shared_memory(size_t size)
{
	return must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}
#endif
