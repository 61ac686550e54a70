// SPDX-License-Identifier: GPL-2.0-only
// Terminals between tasks: a child that has the master alone, with data for the parent's slave; sessions of children, one on
// a terminal with a stopped background group, one that has no descriptor of the terminal that controls it.
#include "pty.h"

static int master, slave, gone_master;

static void hold_master(void *arg)
{
	(void)arg;
	int copy = must(dup(master));
	close(slave);
	must_be(write(copy, "data\n", 5) == 5);
	arrive_and_wait();
	must_be(write(master, "more\n", 5) == 5);
}

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
	master = open_master(0);
	slave = open_slave(master, O_NOCTTY);
	pid_t holder = start_child(hold_master, NULL);
	close(master);
	int held = slave;

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
	expect_read("data of the child", held, "data\n");
	check_child(holder);
	// The master is gone, what was written isn't.
	expect("read of a hung-up one", 0, read(held, &master, 1));

	must_be(write(jobs, "job\n", 4) == 4);
	check_child(leader);
	must(close(gone_master));
	check_child(without);
	pass();
}
