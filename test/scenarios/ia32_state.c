// SPDX-License-Identifier: GPL-2.0-only
// A 32-bit program's handlers, on an alternate stack and with siginfo, its timer, time functions, waiting signals and memory go on
// working; new memory lies where it can be named, new processes and programs can be made.
// @needs ia32 multilib
// @cflags -m32 -lm
// @peer-may-differ (.*/)?fd/\d+/flags the original, being 64-bit, opens files with O_LARGEFILE
#include "scenario.h"
#include <math.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/auxv.h>
#include <ucontext.h>

static volatile sig_atomic_t seen_value, on_stack, ticks;
static char stack[65536];

static void on_signal(int sig, siginfo_t *info, void *context)
{
	char here;
	(void)sig;
	seen_value = info->si_value.sival_int;
	on_stack = &here >= stack && &here < stack + sizeof(stack);
	must_be(((ucontext_t *)context)->uc_mcontext.gregs[REG_CS] == 0x23);
}

static void *must_mapped(void *at)
{
	must_be(at != MAP_FAILED);
	return at;
}

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	must(sigaltstack(&alternate, NULL));
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	sigfillset(&action.sa_mask);
	sigaddset(&action.sa_mask, 64);
	must(sigaction(SIGRTMIN + 3, &action, NULL));
	struct sigaction tick = { .sa_handler = on_tick }, got;
	must(sigaction(SIGALRM, &tick, NULL));
	must(sigaction(SIGUSR2, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL));
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGRTMIN + 3);
	must(sigprocmask(SIG_BLOCK, &blocked, NULL));
	must(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 4711 }));
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value.sival_int = 9 };
	must(timer_create(CLOCK_MONOTONIC, &event, &timer));
	struct itimerspec every = { { 0, 50000000 }, { 0, 50000000 } };
	double root = sqrt(2.0 + argc - 2);
	void *low = must_mapped(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(low, 64 * PAGE, 3);
	char *name = strdup((const char *)getauxval(AT_EXECFN));
	ready();
	wait_for_trigger();
	expect_fill("memory", low, 64 * PAGE, 3);
	expect_text("the auxiliary vector's name", name, (const char *)getauxval(AT_EXECFN));
	must_be(root > 1.41 && root < 1.42);
	must(sigaction(SIGRTMIN + 3, NULL, &got));
	must_be(got.sa_sigaction == on_signal && got.sa_flags == action.sa_flags);
	must_be(sigismember(&got.sa_mask, 64) == 1 && sigismember(&got.sa_mask, SIGHUP) == 1);
	must(sigaction(SIGUSR2, NULL, &got));
	must_be(got.sa_handler == SIG_IGN);
	must(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
	expect("the waiting signal's value", 4711, seen_value);
	expect("its handler was on the alternate stack", 1, on_stack);
	must(timer_settime(timer, 0, &every, NULL));
	while (ticks < 2)
		pause();
	must(timer_delete(timer));
	struct timespec now, now2;
	struct timeval tv;
	must(clock_gettime(CLOCK_REALTIME, &now));
	must(gettimeofday(&tv, NULL));
	must(syscall(SYS_clock_gettime, CLOCK_REALTIME, &now2));
	must_be(llabs((long long)now.tv_sec - now2.tv_sec) < 2 && llabs((long long)tv.tv_sec - now2.tv_sec) < 2);
	for (int i = 0; i < 64; i++) {
		char *fresh = must_mapped(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		*fresh = 1;
		fresh = must_mapped(mremap(fresh, 1 << 20, 2 << 20, MREMAP_MAYMOVE));
		fresh[(2 << 20) - 1] = 1;
	}
	char *heap = must_mapped(sbrk(1 << 20));
	memset(heap, 1, 1 << 20);
	int status;
	pid_t pid = must(fork());
	if (pid == 0)
		execl("/bin/true", "true", (char *)NULL);
	must(waitpid(pid, &status, 0));
	expect("the end of a new program", 0, status);
	pass();
}
