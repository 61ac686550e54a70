// SPDX-License-Identifier: GPL-2.0-only
// The program of tree_stopped_sig*.c: STOP is the signal. Below a child that leads a group, so that the stopped one's group
// is not orphaned, which would have the kernel ignore terminal stops.

static void stopped_one(void *arg)
{
	int end = *(int *)arg;
	char byte;
	arrive();
	must(kill(getpid(), STOP));
	must_be(read(end, &byte, 1) == 1);
	expect("byte", 'x', byte);
}

static void worker(void *arg)
{
	(void)arg;
	must(setpgid(0, 0));
	int ends[2];
	must(pipe(ends));
	pid_t child = start_child(stopped_one, ends);
	must_be(write(ends[1], "x", 1) == 1);
	siginfo_t info;
	must(waitid(P_PID, child, &info, WSTOPPED | WNOWAIT));
	expect("signal of the stop, before", STOP, info.si_status);
	arrive_and_wait();
	expect("state", 'T', state_letter(child));
	must(waitid(P_PID, child, &info, WSTOPPED | WNOWAIT | WNOHANG));
	expect("pid of the stopped one", child, info.si_pid);
	expect("code", CLD_STOPPED, info.si_code);
	expect("signal of the stop", STOP, info.si_status);
	int status;
	expect("stopped one", child, waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG));
	must_be(WIFSTOPPED(status));
	expect("signal of the stop by waitpid", STOP, WSTOPSIG(status));
	expect("more news", 0, waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG));
	must(kill(child, SIGCONT));
	expect_exit(child, 0);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(worker, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	pass();
}
