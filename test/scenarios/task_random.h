// SPDX-License-Identifier: GPL-2.0-only
// The program of task_random*.c: processes and threads that set whatever a task has (ids, capabilities, limits, signals, timers,
// scheduling, names, …) at random, by a fixed seed, in any order. All of it is asked before and after, and has to be the same.
#include "tree.h"
#include "random.h"
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/securebits.h>
#include <sys/personality.h>
#include <sys/time.h>
#include <grp.h>
#include <pthread.h>

enum { PROCESSES = 6, STEPS = 40, TIMERS = 3 };

// What belongs to a thread.
struct of_thread {
	uid_t uids[3];
	gid_t gids[3], groups[40];
	int nr_groups, securebits, keepcaps, nnp, slack, policy, priority, nice, ioprio;
	struct __user_cap_data_struct caps[2];
	unsigned long long ambient;
	char name[16];
	cpu_set_t cpus;
	sigset_t mask;
	void *alt_at;
	size_t alt_size;
	int alt_flags;
};

// What belongs to a process.
struct of_process {
	int dumpable, pdeathsig, subreaper, thp, mdwe, persona, umask;
	struct rlimit limits[RLIM_NLIMITS];
	struct { void *handler; unsigned long flags; sigset_t mask; } actions[64];
	sigset_t pending;
	struct itimerval timers[3];
	struct itimerspec posix[TIMERS];
	char cwd[200];
};

static timer_t posix_timers[TIMERS];
static int nr_timers;

static void ask_thread(struct of_thread *t)
{
	memset(t, 0, sizeof(*t));
	must(syscall(SYS_getresuid, &t->uids[0], &t->uids[1], &t->uids[2]));
	must(syscall(SYS_getresgid, &t->gids[0], &t->gids[1], &t->gids[2]));
	t->nr_groups = must(syscall(SYS_getgroups, 40, t->groups));
	t->securebits = must(prctl(PR_GET_SECUREBITS));
	t->keepcaps = must(prctl(PR_GET_KEEPCAPS));
	t->nnp = must(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	t->slack = must(prctl(PR_GET_TIMERSLACK));
	t->policy = must(syscall(SYS_sched_getscheduler, 0));
	struct sched_param param;
	must(syscall(SYS_sched_getparam, 0, &param));
	t->priority = param.sched_priority;
	t->nice = must(syscall(SYS_getpriority, PRIO_PROCESS, 0));
	t->ioprio = must(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	must(syscall(SYS_capget, &head, t->caps));
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			t->ambient |= 1ULL << cap;
	must(prctl(PR_GET_NAME, t->name));
	must(syscall(SYS_sched_getaffinity, 0, sizeof(t->cpus), &t->cpus));
	must(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &t->mask, 8));
	stack_t alt;
	must(sigaltstack(NULL, &alt));
	t->alt_at = alt.ss_sp;
	t->alt_size = alt.ss_size;
	t->alt_flags = alt.ss_flags;
}

static void ask_process(struct of_process *p)
{
	memset(p, 0, sizeof(*p));
	p->dumpable = must(prctl(PR_GET_DUMPABLE));
	must(prctl(PR_GET_PDEATHSIG, &p->pdeathsig));
	must(prctl(PR_GET_CHILD_SUBREAPER, &p->subreaper));
	p->thp = must(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	p->mdwe = prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0);
	p->persona = must(personality(0xffffffff));
	p->umask = umask(0);
	umask(p->umask);
	for (int i = 0; i < RLIM_NLIMITS; i++)
		must(getrlimit(i, &p->limits[i]));
	for (int sig = 1; sig <= 64; sig++) {
		struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } action;
		must(syscall(SYS_rt_sigaction, sig, NULL, &action, 8));
		p->actions[sig - 1].handler = action.handler;
		p->actions[sig - 1].flags = action.flags;
		memcpy(&p->actions[sig - 1].mask, &action.mask, 8);
	}
	must(syscall(SYS_rt_sigpending, &p->pending, 8));
	for (int i = 0; i < 3; i++) {
		must(getitimer(i, &p->timers[i]));
		p->timers[i].it_value.tv_usec = 0; // they go on
		p->timers[i].it_value.tv_sec = p->timers[i].it_value.tv_sec / 1000;
	}
	for (int i = 0; i < nr_timers; i++) {
		must(timer_gettime(posix_timers[i], &p->posix[i]));
		p->posix[i].it_value = (struct timespec){ p->posix[i].it_value.tv_sec / 1000, 0 };
	}
	must_be(getcwd(p->cwd, sizeof(p->cwd)) != NULL);
}

static void set_caps(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];
	must(syscall(SYS_capget, &head, caps));
	for (int i = 0; i < 2; i++) {
		caps[i].inheritable = roll(1u << 20) & caps[i].permitted;
		caps[i].permitted &= ~(1u << roll(32));
		caps[i].effective = caps[i].permitted & ~(roll(2) ? 1u << roll(32) : 0);
		caps[i].inheritable &= caps[i].permitted;
	}
	syscall(SYS_capset, &head, caps);
	int cap = roll(CAP_LAST_CAP + 1);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	if (roll(3) == 0)
		prctl(PR_CAPBSET_DROP, roll(CAP_LAST_CAP + 1), 0, 0, 0);
}

static void set_ids(void)
{
	static const uid_t some[] = { 0, 1, 33, 1000, 65534, 100000 };
	gid_t groups[40];
	int nr = roll(40);
	for (int i = 0; i < nr; i++)
		groups[i] = roll(70000);
	if (roll(2))
		syscall(SYS_setgroups, nr, groups);
	else
		syscall(SYS_setresgid, some[roll(6)], some[roll(6)], some[roll(6)]);
	// The real one stays, so that its parent's signals reach it.
	if (roll(3) == 0)
		syscall(SYS_setresuid, -1, some[roll(6)], -1);
	if (roll(3) == 0)
		syscall(SYS_setfsuid, some[roll(6)]);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void set_signals(void)
{
	const int some[] = { SIGHUP, SIGUSR2, SIGALRM, SIGWINCH, SIGRTMIN + 3, SIGRTMIN + 20, SIGVTALRM, SIGPROF };
	int sig = some[roll(8)];
	static const int flags[] = { 0, SA_RESTART, SA_NODEFER, SA_SIGINFO, SA_ONSTACK, SA_RESETHAND | SA_RESTART };
	struct sigaction action = { .sa_flags = flags[roll(6)] };
	action.sa_handler = roll(3) == 0 ? SIG_IGN : on_signal;
	sigaddset(&action.sa_mask, some[roll(8)]);
	must(sigaction(sig, &action, NULL));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, some[roll(8)]);
	must(pthread_sigmask(roll(3) == 0 ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL));
}

static void send_one(void)
{
	int sig = SIGRTMIN + 5 + roll(10); // blocked by all
	siginfo_t info = { .si_signo = sig, .si_code = -1 - (int)roll(5), .si_value.sival_int = roll(1000) };
	must(roll(2) ? syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sig, &info) : syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info));
}

static void set_timers(void)
{
	struct itimerval value = { { roll(50), roll(1000000) }, { 500500 + roll(300), 0 } };
	if (roll(2))
		must(setitimer(roll(3), &value, NULL));
	else if (nr_timers < TIMERS) {
		static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID };
		struct sigevent event = { .sigev_notify = roll(2) ? SIGEV_NONE : SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 7 };
		if (timer_create(clocks[roll(4)], &event, &posix_timers[nr_timers]) < 0)
			return;
		struct itimerspec spec = { { roll(100), roll(1000000000) }, { 500500 + roll(300), 0 } };
		must(timer_settime(posix_timers[nr_timers++], 0, &spec, NULL));
	}
}

static void set_limits(void)
{
	static const int some[] = { RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_STACK, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_FSIZE };
	int which = some[roll(8)];
	struct rlimit limit;
	must(getrlimit(which, &limit));
	rlim_t cap = limit.rlim_max == RLIM_INFINITY ? 1 << 30 : limit.rlim_max;
	if (which == RLIMIT_NOFILE || which == RLIMIT_STACK || which == RLIMIT_FSIZE || which == RLIMIT_SIGPENDING) {
		if (cap > 4096)
			limit.rlim_cur = cap - roll(1024);
	} else {
		limit.rlim_cur = roll(cap + 1);
		if (roll(4) == 0)
			limit.rlim_max = limit.rlim_cur;
	}
	must(setrlimit(which, &limit));
}

static void set_schedule(void)
{
	struct sched_param param = { 0 };
	static const int policies[] = { SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_OTHER };
	syscall(SYS_sched_setscheduler, 0, policies[roll(4)], &param);
	syscall(SYS_setpriority, PRIO_PROCESS, 0, (int)roll(19));
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, roll(4))); // none that follows from the nice value
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(roll(2), &cpus);
	syscall(SYS_sched_setaffinity, 0, sizeof(cpus), &cpus);
}

static void set_odds(void)
{
	char text[64];
	switch (roll(10)) {
	case 0: must(prctl(PR_SET_DUMPABLE, roll(2))); break;
	case 1: must(prctl(PR_SET_PDEATHSIG, getpid() == root_pid ? 0 : SIGWINCH)); break;
	case 2: must(prctl(PR_SET_CHILD_SUBREAPER, roll(2))); break;
	case 3: must(prctl(PR_SET_THP_DISABLE, roll(2), 0, 0, 0)); break;
	case 4: must(prctl(PR_SET_TIMERSLACK, 1 + roll(100000))); break;
	case 5: umask(roll(0777)); break;
	case 6:
		snprintf(text, sizeof(text), "n%u \n)(%u", roll(10), roll(1000));
		must(prctl(PR_SET_NAME, text));
		break;
	case 7:
		snprintf(text, sizeof(text), "dir%d", getpid());
		mkdir(text, 0777);
		if (chdir(text) == 0)
			break;
		break;
	case 8: must(personality(personality(0xffffffff) | (roll(2) ? ADDR_NO_RANDOMIZE : UNAME26))); break;
	case 9: {
		static __thread char stack[32768];
		stack_t alt = { .ss_sp = stack, .ss_size = 16384 + roll(16384), .ss_flags = roll(2) ? (int)(1U << 31) /* SS_AUTODISARM */ : 0 };
		must(sigaltstack(&alt, NULL));
	}
	}
}

static void set_security(void)
{
	if (roll(4) == 0)
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (roll(3) == 0)
		prctl(PR_SET_KEEPCAPS, 1);
	if (roll(4) == 0)
		prctl(PR_SET_SECUREBITS, prctl(PR_GET_SECUREBITS) | (roll(2) ? SECBIT_NOROOT : SECBIT_NO_SETUID_FIXUP));
}

static void take_steps(unsigned number, int steps)
{
	dice = DICE_SEED(SEED * 50 + number + 1);
	static void (*const things[])(void) = { set_signals, send_one, set_timers, set_limits, set_schedule, set_odds, set_odds, set_odds };
	for (int i = 0; i < steps; i++)
		things[roll(8)]();
	// What takes rights away comes last, or the rest couldn't be set.
	for (int i = 0; i < 4; i++)
		switch (roll(3)) {
		case 0: set_caps(); break;
		case 1: set_ids(); break;
		case 2: set_security(); break;
		}
}

static void compare(const char *who, const char *what, const void *before, const void *after, size_t n)
{
	char text[64];
	snprintf(text, sizeof(text), "%s of pid %d: %s", who, getpid(), what);
	expect_bytes(text, before, after, n);
}

static struct of_thread thread_before, thread_after;

static void live(void *number)
{
	struct of_thread before, after;
	struct of_process own, now;
	take_steps((long)number, STEPS);
	ask_thread(&before);
	ask_process(&own);
	arrive_and_wait();
	ask_thread(&after);
	ask_process(&now);
	compare("thread", "all that it has", &before, &after, sizeof(before));
	compare("process", "all that it has", &own, &now, sizeof(own));
}

// A thread with ids and signals of its own, in the root.
static void *live_as_thread(void *gate)
{
	const int *fds = gate;
	char byte = 0;
	take_steps(1000, STEPS / 2);
	ask_thread(&thread_before);
	must_be(write(fds[1], &byte, 1) == 1);
	must_be(read(fds[2], &byte, 1) == 1);
	ask_thread(&thread_after);
	return NULL;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(chmod(".", 0777));
	sigset_t sent;
	sigemptyset(&sent);
	for (int i = 0; i < 10; i++)
		sigaddset(&sent, SIGRTMIN + 5 + i);
	must(sigprocmask(SIG_BLOCK, &sent, NULL));
	pid_t pids[PROCESSES];
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = start_child(live, (void *)(long)i);
	int gates[4];
	must(pipe(gates));
	must(pipe(gates + 2));
	sigset_t term, old;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	must(pthread_sigmask(SIG_BLOCK, &term, &old));
	pthread_t thread;
	must_be(pthread_create(&thread, NULL, live_as_thread, gates) == 0);
	must(pthread_sigmask(SIG_SETMASK, &old, NULL));
	char byte;
	must_be(read(gates[0], &byte, 1) == 1);
	struct of_process before, after;
	ask_process(&before);
	ready();
	wait_for_trigger();
	must_be(write(gates[3], &byte, 1) == 1);
	must_be(pthread_join(thread, NULL) == 0);
	compare("thread", "all that it has", &thread_before, &thread_after, sizeof(thread_before));
	ask_process(&after);
	compare("process", "all that it has", &before, &after, sizeof(before));
	for (int i = 0; i < PROCESSES; i++)
		check_child(pids[i]);
	pass();
}
