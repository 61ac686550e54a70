// SPDX-License-Identifier: GPL-2.0-only
// The program that faults and kills of criu must not harm: `target MODE PAGE` checks itself for ever and keeps score in the
// file PAGE, which it maps. All registers are in use: a fixed computation over all of them must always give the same.
// MODE: busy, altstack, storm (busy, counts SIGUSR1), nanosleep, poll, select, futex_timed: calls of 50 ms in a row;
// read, futex: block until SIGUSR1 pokes them. ghost: busy, with a file that is deleted and one that has another name.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CALL_NS 50000000l
#define ITERATIONS 30000
#define HEAP_PAGES 64

// What killer.c and programs.ts read; keep them alike.
struct score {
	uint64_t ready, progress, errors, error_kind, eintr, signals, late_ns;
};

enum { BAD_DIGEST = 1, BAD_MASK, BAD_HEAP, BAD_STACK, BAD_CALL, BAD_PENDING, BAD_EARLY, BAD_FILE };

struct digest {
	uint64_t gpr[15], red_zone[16], flags, mxcsr, k[8];
	uint8_t x87[16];
	uint8_t vector[32 * 64];
} __attribute__((packed));

static volatile struct score *score;
static uint64_t table[32 * 8];
static struct digest reference;
static unsigned char *heap;
static sigset_t own_mask;
static stack_t own_stack;
static int pipe_fds[2];
static volatile uint32_t word;

// digest_NAME(table, result, iterations). Field offsets of struct digest: gpr 0, red zone 120, flags 248, mxcsr 256, k 264,
// x87 328, vectors 344.
#define DIGEST(name, load, store, step, loadk, storek)                                                                  \
	__asm__(".text\n.globl digest_" name "\ndigest_" name ":\n"                                                      \
		"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"                    \
		load loadk "fninit\n fldpi\n fld1\n push $0x9f80\n ldmxcsr (%rsp)\n lea 8(%rsp), %rsp\n"                 \
		".set i, 0\n .rept 16\n mov 8*i(%rdi), %rax\n mov %rax, -8-8*i(%rsp)\n .set i, i+1\n .endr\n"             \
		"mov %rdx, %rcx\n mov (%rdi), %rax\n mov 8(%rdi), %rbx\n mov 16(%rdi), %rbp\n mov 24(%rdi), %rsi\n"       \
		"mov 32(%rdi), %r8\n mov 40(%rdi), %r9\n mov 48(%rdi), %r10\n mov 56(%rdi), %r11\n"                      \
		"mov 64(%rdi), %r12\n mov 72(%rdi), %r13\n mov 80(%rdi), %r14\n mov 88(%rdi), %r15\n"                    \
		"mov 96(%rdi), %rdx\n mov 104(%rdi), %rdi\n std\n"                                                       \
		"1: add %rbx, %rax\n add %rbp, %rbx\n add %rsi, %rbp\n add %r8, %rsi\n add %r9, %r8\n add %r10, %r9\n"   \
		"add %r11, %r10\n add %r12, %r11\n add %r13, %r12\n add %r14, %r13\n add %r15, %r14\n add %rdi, %r15\n"  \
		"add %rdx, %rdi\n rol $7, %rdx\n add %rax, %rdx\n add %rax, -8(%rsp)\n xor %rbx, -128(%rsp)\n"           \
		"fadd %st(1), %st\n" step "dec %rcx\n jnz 1b\n"                                                          \
		"xchg %rax, (%rsp)\n mov %rbx, 8(%rax)\n mov %rbp, 16(%rax)\n mov %rsi, 24(%rax)\n mov %r8, 32(%rax)\n"  \
		"mov %r9, 40(%rax)\n mov %r10, 48(%rax)\n mov %r11, 56(%rax)\n mov %r12, 64(%rax)\n mov %r13, 72(%rax)\n" \
		"mov %r14, 80(%rax)\n mov %r15, 88(%rax)\n mov %rdi, 96(%rax)\n mov %rdx, 104(%rax)\n"                   \
		"mov %rcx, 112(%rax)\n mov (%rsp), %rbx\n mov %rbx, (%rax)\n"                                            \
		".set i, 0\n .rept 16\n mov -8-8*i(%rsp), %rbx\n mov %rbx, 120+8*i(%rax)\n .set i, i+1\n .endr\n"         \
		"pushfq\n pop %rbx\n and $0x400, %rbx\n mov %rbx, 248(%rax)\n cld\n stmxcsr 256(%rax)\n fstpt 328(%rax)\n" \
		store storek "fninit\n push $0x1f80\n ldmxcsr (%rsp)\n lea 8(%rsp), %rsp\n"                              \
		"pop %rsi\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n")

#define EACH(n, text) ".altmacro\n.macro each i\n" text "\n.endm\n.set n, 0\n.rept " #n "\n each %n\n.set n, n+1\n.endr\n.purgem each\n.noaltmacro\n"
#define ROUND(n, text) ".altmacro\n.macro both i, j\n" text "\n.endm\n.set n, 0\n.rept " #n "-1\n both %n, %(n+1)\n.set n, n+1\n.endr\n.purgem both\n.noaltmacro\n"

DIGEST("sse", EACH(16, "movdqu 64*\\i(%rdi), %xmm\\i"), EACH(16, "movdqu %xmm\\i, 344+64*\\i(%rax)"),
       ROUND(16, "paddq %xmm\\j, %xmm\\i"), "", "");
DIGEST("avx", EACH(16, "vmovdqu 64*\\i(%rdi), %ymm\\i"), EACH(16, "vmovdqu %ymm\\i, 344+64*\\i(%rax)") "vzeroupper\n",
       ROUND(16, "vpaddq %ymm\\j, %ymm\\i, %ymm\\i"), "", "");
DIGEST("avx512", EACH(32, "vmovdqu64 64*\\i(%rdi), %zmm\\i"), EACH(32, "vmovdqu64 %zmm\\i, 344+64*\\i(%rax)"),
       ROUND(32, "vpaddq %zmm\\j, %zmm\\i, %zmm\\i"), EACH(8, "kmovw 8*\\i(%rdi), %k\\i"),
       EACH(8, "kmovw %k\\i, 264+8*\\i(%rax)") "vzeroupper\n");

void digest_sse(const uint64_t *, struct digest *, uint64_t);
void digest_avx(const uint64_t *, struct digest *, uint64_t);
void digest_avx512(const uint64_t *, struct digest *, uint64_t);
static void (*digest)(const uint64_t *, struct digest *, uint64_t) = digest_sse;

static void fail(int kind)
{
	score->error_kind = kind;
	score->errors++;
}

static void check_memory(void)
{
	static unsigned page;
	page = (page + 1) % HEAP_PAGES;
	for (unsigned i = 0; i < 4096; i++)
		if (heap[page * 4096 + i] != (unsigned char)(page * 7 + i))
			return fail(BAD_HEAP);
}

static void check_signals(int handling)
{
	sigset_t now, wanted = own_mask;
	stack_t stack;
	if (handling)
		sigaddset(&wanted, SIGUSR1);
	if (sigprocmask(SIG_SETMASK, NULL, &now) < 0 || memcmp(&now, &wanted, 8))
		fail(BAD_MASK);
	if (sigpending(&now) < 0 || !sigismember(&now, SIGUSR2) || !sigismember(&now, SIGRTMIN + 3))
		fail(BAD_PENDING);
	if (sigaltstack(NULL, &stack) < 0 || stack.ss_sp != own_stack.ss_sp || stack.ss_size != own_stack.ss_size ||
	    stack.ss_flags != (handling ? SS_ONSTACK : 0))
		fail(BAD_STACK);
}

static void work(int handling)
{
	struct digest now;
	memset(&now, 0, sizeof(now));
	digest(table, &now, ITERATIONS);
	if (memcmp(&now, &reference, sizeof(now)))
		fail(BAD_DIGEST);
	check_memory();
	check_signals(handling);
	score->progress++;
}

static void on_usr1(int sig)
{
	int saved = errno;
	(void)sig;
	score->signals++;
	word = 1;
	if (pipe_fds[1] && write(pipe_fds[1], "x", 1) != 1)
		fail(BAD_CALL);
	errno = saved;
}

static void on_usr1_for_ever(int sig)
{
	(void)sig;
	score->ready = 1;
	for (;;)
		work(1);
}

static int64_t now_ns(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ll + at.tv_nsec;
}

static long block(const char *mode)
{
	struct timespec limit = { 0, CALL_NS };
	struct timeval select_limit = { 0, CALL_NS / 1000 };
	char c;
	switch (mode[0]) {
	case 'n': return nanosleep(&limit, NULL);
	case 'p': return poll(NULL, 0, CALL_NS / 1000000);
	case 's': return select(0, NULL, NULL, NULL, &select_limit);
	case 'r': return read(pipe_fds[0], &c, 1) == 1 ? 0 : -1;
	default: break;
	}
	if (!strcmp(mode, "futex_timed")) {
		long ret = syscall(SYS_futex, &pipe_fds, FUTEX_WAIT, pipe_fds[0], &limit, NULL, 0);
		return ret < 0 && errno == ETIMEDOUT ? 0 : -1;
	}
	long ret = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	if (ret < 0 && errno != EAGAIN)
		return -1;
	word = 0;
	return 0;
}

static void block_for_ever(const char *mode)
{
	int timed = mode[0] != 'r' && strcmp(mode, "futex");
	for (;;) {
		int64_t start = now_ns();
		long ret = block(mode);
		int64_t late = now_ns() - start - CALL_NS;
		if (ret < 0 && errno == EINTR)
			score->eintr++;
		else if (ret < 0)
			fail(BAD_CALL);
		else if (timed && late < 0)
			fail(BAD_EARLY);
		else if (timed && late > (int64_t)score->late_ns)
			score->late_ns = late;
		check_memory();
		check_signals(0);
		score->progress++;
	}
}

static int ghost_fd, linked_fd;

// Files that a restore has to make under a name of its own for a moment.
static void hold_deleted_files(const char *page)
{
	char path[4096], other[4096];
	snprintf(path, sizeof(path), "%s.ghost", page);
	ghost_fd = open(path, O_RDWR | O_CREAT, 0600);
	if (ghost_fd < 0 || write(ghost_fd, "ghost", 5) != 5 || unlink(path) < 0)
		_exit(2);
	snprintf(path, sizeof(path), "%s.first", page);
	snprintf(other, sizeof(other), "%s.second", page);
	linked_fd = open(path, O_RDWR | O_CREAT, 0600);
	if (linked_fd < 0 || write(linked_fd, "other", 5) != 5 || link(path, other) < 0)
		_exit(2);
}

static void check_deleted_files(void)
{
	char text[6] = "";
	struct stat st;
	if (pread(ghost_fd, text, 5, 0) != 5 || strcmp(text, "ghost") || fstat(ghost_fd, &st) < 0 || st.st_nlink != 0)
		fail(BAD_FILE);
	if (pread(linked_fd, text, 5, 0) != 5 || strcmp(text, "other"))
		fail(BAD_FILE);
}

static void prepare(const char *page)
{
	int fd = open(page, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		_exit(2);
	score = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	heap = malloc(HEAP_PAGES * 4096);
	if (score == MAP_FAILED || !heap)
		_exit(2);
	close(fd);
	for (unsigned i = 0; i < HEAP_PAGES * 4096; i++)
		heap[i] = (unsigned char)(i / 4096 * 7 + i % 4096);
	for (unsigned i = 0; i < 32 * 8; i++)
		table[i] = (i + 1) * 0x9e3779b97f4a7c15ull;
	if (__builtin_cpu_supports("avx512f"))
		digest = digest_avx512;
	else if (__builtin_cpu_supports("avx2"))
		digest = digest_avx;
	digest(table, &reference, ITERATIONS);
	own_stack.ss_sp = malloc(65536);
	own_stack.ss_size = 65536;
	if (sigaltstack(&own_stack, NULL) < 0)
		_exit(2);
	sigemptyset(&own_mask);
	sigaddset(&own_mask, SIGUSR2);
	sigaddset(&own_mask, SIGRTMIN + 3);
	sigprocmask(SIG_SETMASK, &own_mask, NULL);
	union sigval value = { .sival_int = 7 };
	if (syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2) < 0 || sigqueue(getpid(), SIGRTMIN + 3, value) < 0 ||
	    sigqueue(getpid(), SIGRTMIN + 3, value) < 0)
		_exit(2);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	const char *mode = argv[1];
	int on_stack = !strcmp(mode, "altstack");
	prepare(argv[2]);
	if (mode[0] == 'r' && pipe(pipe_fds) < 0)
		return 2;
	struct sigaction action = { .sa_handler = on_stack ? on_usr1_for_ever : on_usr1,
				    .sa_flags = SA_RESTART | (on_stack ? SA_ONSTACK : 0) };
	sigaction(SIGUSR1, &action, NULL);
	if (on_stack)
		raise(SIGUSR1);
	if (mode[0] == 'g')
		hold_deleted_files(argv[2]);
	score->ready = 1;
	if (strcmp(mode, "busy") && strcmp(mode, "storm") && mode[0] != 'g')
		block_for_ever(mode);
	for (;;) {
		work(0);
		if (mode[0] == 'g')
			check_deleted_files();
	}
}
