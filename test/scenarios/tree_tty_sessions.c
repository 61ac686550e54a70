// SPDX-License-Identifier: GPL-2.0-only
// Sessions of children on ptys of their parent: one with a stopped background group, one that has no descriptor of the
// terminal that controls it.
// @skip-peer the original doesn't freeze what SIGTTIN has stopped, and gives a session no terminal that it has no descriptor of
#include "pty.h"

static int slave, gone_master;

static void lead_session(void *arg)
{
	(void)arg;
	must(setsid());
	must(ioctl(slave, TIOCSCTTY, 0));
	pid_t job = must(fork());
	if (job == 0) {
		must(setpgid(0, 0));
		char text[16];
		_exit(read(slave, text, sizeof(text)) == 4 ? 7 : 8); // stopped by SIGTTIN
	}
	siginfo_t info;
	must(waitid(P_PID, job, &info, WSTOPPED | WNOWAIT));
	expect("the signal that has stopped the job", SIGTTIN, info.si_status);
	arrive_and_wait();
	expect("session", getpid(), tcgetsid(slave));
	expect("foreground group", getpgrp(), tcgetpgrp(slave));
	signal(SIGTTOU, SIG_IGN);
	must(tcsetpgrp(slave, job));
	must(kill(job, SIGCONT));
	expect_exit(job, 7);
}

static volatile sig_atomic_t hangups;

static void on_hangup(int sig)
{
	(void)sig;
	hangups++;
}

static void lead_without(void *arg)
{
	(void)arg;
	must(setsid());
	struct sigaction action = { .sa_handler = on_hangup };
	must(sigaction(SIGHUP, &action, NULL));
	must(ioctl(slave, TIOCSCTTY, 0));
	close(slave);
	close(gone_master);
	arrive_and_wait();
	expect("hang-ups", 1, hangups);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int jobs = open_master(0);
	slave = open_slave(jobs, O_NOCTTY);
	pid_t leader = start_child(lead_session, NULL);
	close(slave);

	gone_master = open_master(0);
	slave = open_slave(gone_master, O_NOCTTY);
	pid_t without = start_child(lead_without, NULL);
	close(slave);
	ready();
	wait_for_trigger();
	must_be(write(jobs, "job\n", 4) == 4);
	check_child(leader);
	must(close(gone_master));
	check_child(without);
	pass();
}
