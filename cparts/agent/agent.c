/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent: runs programs, arrays of operations that the engine wrote into shared memory, inside another process.
 * It decides nothing. When the engine's thread dies the kernel marks ctl->lock and the agent leaves by the cure chain. */
#include "agent.h"

#define SYS_close 3
#define SYS_rt_sigprocmask 14
#define SYS_read 0
#define SYS_pread64 17
#define SYS_pwrite64 18
#define SYS_madvise 28
#define SYS_wait4 61
#define SYS_fcntl 72
#define SYS_getppid 110
#define SYS_prctl 157
#define SYS_futex 202
#define SYS_restart_syscall 219
#define SYS_exit_group 231
#define SYS_dup3 292
#define SYS_futex_waitv 449

#define F_SETFD 2
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_32 2u
#define FUTEX_OWNER_DIED 0x40000000u
#define SIG_SETMASK 2
#define SIGKILL 9
#define PR_SET_PDEATHSIG 1
#define EINTR 4
#define ECHILD 10
#define ENOSYS 38
#define EIO 5
#define PAGE 4096ul
#define MADV_POPULATE_WRITE 23
#define LOAD_BATCH (4ul << 20)
#define LOAD_MIN (8 * PAGE)

struct futex_waitv {
	u64 val, uaddr;
	u32 flags, reserved;
};

/* What x86_64/entry.S counts on. */
_Static_assert(__builtin_offsetof(struct cr_ctl, slots) == 96 && sizeof(struct cr_slot) == 72 &&
		       __builtin_offsetof(struct cr_slot, state) == 0 && __builtin_offsetof(struct cr_slot, ret_at) == 8 &&
		       __builtin_offsetof(struct cr_slot, home) == 16 && __builtin_offsetof(struct cr_slot, call) == 24 &&
		       __builtin_offsetof(struct cr_slot, leave_sp) == 32 && __builtin_offsetof(struct cr_slot, stack) == 40 &&
		       CR_SLOT_INSIDE == 2 && CR_SLOT_LEFT == 3,
	       "entry.S knows other offsets");

i64 cr_clone3(u64 args, u64 size, u64 ctl, u64 unused, u64 maker);
void cr_sigreturn_at(u64 sp) __attribute__((noreturn));
void cr_thread_leave(struct cr_slot *slot) __attribute__((noreturn));
void cr_thread_leave32(struct cr_slot *slot) __attribute__((noreturn));
i64 cr_int80(u32 nr, const u64 *args);

static inline i64 sys6(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	i64 ret;
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	register u64 r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline u32 load(const u32 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void copy_bytes(u64 to, u64 from, u64 bytes)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static int pages_equal(const u64 *a, const u64 *b)
{
	for (u64 i = 0; i < PAGE / 8; i++)
		if (a[i] != b[i])
			return 0;
	return 1;
}

static i64 merge_pages(u64 to, u64 from, u64 bytes)
{
	i64 copied = 0;
	for (u64 at = 0; at + PAGE <= bytes; at += PAGE) {
		if (pages_equal((const u64 *)(to + at), (const u64 *)(from + at)))
			continue;
		copy_bytes(to + at, from + at, PAGE);
		copied++;
	}
	return copied;
}

static i64 store_value(u64 at, u64 value, u64 size)
{
	switch (size) {
	case 1: *(volatile u8 *)at = value; return 0;
	case 2: *(volatile u16 *)at = value; return 0;
	case 4: *(volatile u32 *)at = value; return 0;
	default: *(volatile u64 *)at = value; return 0;
	}
}

static i64 wait_word(u32 *word, u32 value)
{
	for (;;) {
		u32 now = load(word);
		if ((int)(now - value) >= 0)
			return now;
		sys6(SYS_futex, (u64)word, FUTEX_WAIT, now, 0, 0, 0);
	}
}

static i64 wake_word(u32 *word, u32 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	return sys6(SYS_futex, (u64)word, FUTEX_WAKE, 0x7fffffff, 0, 0, 0);
}

/* The rest of an init's life. From the wake on the engine's end doesn't matter any more. */
static __attribute__((noreturn)) void serve_as_init(u32 *begun)
{
	wake_word(begun, 1);
	while (sys6(SYS_wait4, (u64)-1, 0, 0x40000000 /* __WALL */, 0, 0, 0) != -ECHILD)
		;
	for (;;)
		sys6(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

/* Large reads and writes may come back short; goes on until all is there. End of file is an error. */
static i64 fill(const struct cr_op *op, const u64 *a)
{
	u64 done = 0;
	while (done < a[2]) {
		i64 ret = sys6(op->nr, a[0], a[1] + done, a[2] - done, a[3] + done, 0, 0);
		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			return ret < 0 ? ret : -EIO;
		done += ret;
	}
	return done;
}

/* Written through /proc/self/mem, pages come without a fault of ours, which costs more than copying twice, most of all in
 * virtual machines; and memory needn't be writable. */
static i64 load_by_mem(const struct cr_ctl *ctl, const u64 *a)
{
	struct cr_op in = { .nr = a[3] == CR_LOAD_NEXT ? SYS_read : SYS_pread64 }, out = { .nr = SYS_pwrite64 };
	u64 done = 0;
	while (done < a[2]) {
		u64 bytes = a[2] - done < CR_LOAD_BUFFER ? a[2] - done : CR_LOAD_BUFFER;
		const u64 from[4] = { a[0], a[5], bytes, a[3] + done };
		const u64 to[4] = { a[4], a[5], bytes, a[1] + done };
		i64 ret = fill(&in, from);
		if (ret >= 0)
			ret = fill(&out, to);
		if (ret < 0)
			return ret;
		done += bytes;
		__atomic_fetch_add((u64 *)(ctl->area + CR_AREA_LOADED), bytes, __ATOMIC_RELAXED);
	}
	return done;
}

/* Faulting pages in by the batch and filling them while they are warm costs two thirds of faulting them one by one. */
static i64 load_pages(const struct cr_ctl *ctl, const u64 *a)
{
	if (a[5])
		return load_by_mem(ctl, a);
	struct cr_op part = { .nr = a[3] == CR_LOAD_NEXT ? SYS_read : SYS_pread64 };
	u64 done = 0;
	while (done < a[2]) {
		u64 bytes = a[2] - done < LOAD_BATCH ? a[2] - done : LOAD_BATCH;
		const u64 args[4] = { a[0], a[1] + done, bytes, a[3] + done };
		/* Only an optimisation: kernels before 5.14 and some mappings can't. */
		if (bytes >= LOAD_MIN)
			sys6(SYS_madvise, args[1], bytes, MADV_POPULATE_WRITE, 0, 0, 0);
		i64 ret = fill(&part, args);
		if (ret < 0)
			return ret;
		done += bytes;
		__atomic_fetch_add((u64 *)(ctl->area + CR_AREA_LOADED), bytes, __ATOMIC_RELAXED);
	}
	return done;
}

static i64 borrow(struct cr_ctl *ctl, const struct cr_op *op, const u64 *a)
{
	i64 fd = sys6(op->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (fd >= 0)
		ctl->borrowed = fd + 1;
	return fd;
}

static i64 give_back(struct cr_ctl *ctl)
{
	u64 fd = ctl->borrowed;
	ctl->borrowed = 0;
	return fd ? sys6(SYS_close, fd - 1, 0, 0, 0, 0, 0) : 0;
}

/* A descriptor has been opened under any number, perhaps one of those that it is to have. */
static i64 place(u64 fd, const u32 *numbers, u64 count)
{
	int stays = 0;

	for (u64 i = 0; i < count; i++, numbers += 2) {
		i64 ret;

		if (numbers[0] == (u32)fd) {
			stays = 1;
			ret = sys6(SYS_fcntl, fd, F_SETFD, numbers[1] != 0, 0, 0, 0);
		} else {
			ret = sys6(SYS_dup3, fd, numbers[0], numbers[1], 0, 0, 0);
		}
		if (ret < 0)
			return ret;
	}
	return stays ? 0 : sys6(SYS_close, fd, 0, 0, 0, 0, 0);
}

static i64 move(const u64 *a)
{
	const u32 number[2] = { (u32)a[1], (u32)a[2] };

	return place(a[0], number, 1);
}

static i64 run_op(struct cr_ctl *ctl, struct cr_op *op, const u64 *a)
{
	switch (op->code) {
	case CR_OP_SYSCALL: return sys6(op->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	case CR_OP_COPY: copy_bytes(a[0], a[1], a[2]); return 0;
	case CR_OP_MERGE: return merge_pages(a[0], a[1], a[2]);
	case CR_OP_STORE: return store_value(a[0], a[1], a[2]);
	case CR_OP_CLONE: return cr_clone3(a[0], a[1], a[2], 0, a[3]);
	case CR_OP_WAIT: return wait_word((u32 *)a[0], a[1]);
	case CR_OP_WAKE: return wake_word((u32 *)a[0], a[1]);
	case CR_OP_REAP: serve_as_init((u32 *)a[0]);
	case CR_OP_FILL: return fill(op, a);
	case CR_OP_LOAD: return load_pages(ctl, a);
	case CR_OP_BORROW: return borrow(ctl, op, a);
	case CR_OP_GIVE_BACK: return give_back(ctl);
	case CR_OP_MOVE: return move(a);
	case CR_OP_SYSCALL32: return cr_int80(op->nr, a);
	case CR_OP_PLACE: return place(a[0], (const u32 *)a[1], a[2]);
	default: return -ENOSYS;
	}
}

static int succeeded(const struct cr_op *op)
{
	int failed = (u64)op->result > (u64)-4096;
	switch (op->check) {
	case CR_CHECK_NONE: return 1;
	case CR_CHECK_EQUAL: return op->result == op->expect;
	case CR_CHECK_NO_ERROR_OR: return !failed || op->result == -op->expect;
	default: return !failed;
	}
}

static void run_ops(struct cr_ctl *ctl, u64 program, u32 nr_ops, u32 *failed, i64 *error)
{
	struct cr_op *ops = (struct cr_op *)(ctl->area + program);

	*failed = ~0u;
	*error = 0;
	for (u32 i = 0; i < nr_ops; i++) {
		struct cr_op *op = &ops[i];
		u64 a[6];
		/* Soon after the engine's end a seccomp filter that was suspended for this holds again. */
		if (load(&ctl->lock) & FUTEX_OWNER_DIED)
			return;
		for (u32 k = 0; k < 6; k++) {
			u32 kind = (op->kinds >> (4 * k)) & 15;
			a[k] = op->arg[k];
			if (kind == CR_ARG_AREA)
				a[k] += ctl->area;
			else if (kind == CR_ARG_RESULT)
				a[k] = ops[a[k]].result;
			else if (kind == CR_ARG_LOAD32)
				a[k] = *(const u32 *)(a[k] + ctl->area);
			else if (kind == CR_ARG_LOAD64)
				a[k] = *(const u64 *)(a[k] + ctl->area);
		}
		op->result = run_op(ctl, op, a);
		if (!succeeded(op)) {
			*failed = i;
			*error = op->result;
			return;
		}
	}
}

/* A call that the freeze interrupted and that only the kernel knows how to resume is finished here, with the signal
 * mask it had, and its result goes into the last frame of the chain. */
static void finish_restart(struct cr_ctl *ctl)
{
	u64 all = ~0ul;
	sys6(SYS_rt_sigprocmask, SIG_SETMASK, (u64)&ctl->orig_mask, 0, 8, 0, 0);
	i64 ret = sys6(SYS_restart_syscall, 0, 0, 0, 0, 0, 0);
	sys6(SYS_rt_sigprocmask, SIG_SETMASK, (u64)&all, 0, 8, 0, 0);
	*(i64 *)ctl->frame_rax = ret;
	*(u64 *)ctl->frame_rip = ctl->orig_rip;
}

/* Led threads leave, too, and have done so before the area goes. One whose word on the stack leads home and that hasn't been
 * here will never come; its state is read again, as it changes before that word does. */
static void await_led(struct cr_ctl *ctl)
{
	struct cr_slot *slot = (struct cr_slot *)(ctl->area + ctl->slots);

	if (!ctl->nr_slots)
		return;
	wake_word(&ctl->gone, 1);
	for (struct cr_slot *end = slot + ctl->nr_slots; slot < end; slot++) {
		for (;;) {
			u32 state = load(&slot->state);
			if (state != CR_SLOT_LED && state != CR_SLOT_INSIDE)
				break;
			if (state == CR_SLOT_LED && __atomic_load_n((u64 *)slot->ret_at, __ATOMIC_ACQUIRE) == slot->home &&
			    load(&slot->state) == CR_SLOT_LED)
				break;
			sys6(SYS_futex, (u64)&slot->state, FUTEX_WAIT, state, 0, 0, 0);
		}
	}
}

static __attribute__((noreturn)) void leave_alone(struct cr_ctl *ctl)
{
	if (!ctl->chain_sp) {
		for (;;)
			sys6(SYS_exit_group, 97, 0, 0, 0, 0, 0);
	}
	await_led(ctl);
	give_back(ctl);
	if (ctl->flags & CR_CTL_RESTART)
		finish_restart(ctl);
	cr_sigreturn_at(ctl->chain_sp);
}

/* Sleeps until a command comes or the engine dies. No timeout: a timed wait would overwrite the restart block of the
 * call that the freeze interrupted. */
static void wait_command(struct cr_ctl *ctl, u32 seen)
{
	if (ctl->flags & CR_CTL_SPIN) {
		__asm__ volatile("pause");
		return;
	}
	u32 lock = load(&ctl->lock);
	if (lock & FUTEX_OWNER_DIED)
		return;
	struct futex_waitv on[2] = {
		{ .val = seen, .uaddr = (u64)&ctl->cmd_seq, .flags = FUTEX_32 },
		{ .val = lock, .uaddr = (u64)&ctl->lock, .flags = FUTEX_32 },
	};
	/* Without futex_waitv (before 5.16) the engine repeats its wake on the lock until the command is acknowledged. */
	if (sys6(SYS_futex_waitv, (u64)on, 2, 0, 0, 0, 0) == -ENOSYS)
		sys6(SYS_futex, (u64)&ctl->lock, FUTEX_WAIT, lock, 0, 0, 0);
}

/* A new child dies with its maker from here on; one whose maker has gone before that ends at once. */
static void die_with(u64 maker)
{
	sys6(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	while ((u64)sys6(SYS_getppid, 0, 0, 0, 0, 0, 0) != maker)
		sys6(SYS_exit_group, 97, 0, 0, 0, 0, 0);
}

__attribute__((noreturn, used)) void cr_agent(struct cr_ctl *ctl, u64 maker)
{
	u32 seen = ctl->ack_seq;

	if (maker)
		die_with(maker);
	for (;;) {
		u32 now = load(&ctl->cmd_seq);
		if (load(&ctl->lock) & FUTEX_OWNER_DIED)
			leave_alone(ctl);
		if (now == seen) {
			wait_command(ctl, seen);
			continue;
		}
		run_ops(ctl, ctl->program, ctl->nr_ops, &ctl->failed, &ctl->error);
		seen = now;
		__atomic_store_n(&ctl->ack_seq, seen, __ATOMIC_RELEASE);
		if (!(load(&ctl->lock) & FUTEX_OWNER_DIED))
			sys6(SYS_futex, (u64)&ctl->ack_seq, FUTEX_WAKE, 0x7fffffff, 0, 0, 0);
	}
}

/* A thread beside the agent's: runs its program and stays until the engine takes it out, or has died. No timeout, either. */
__attribute__((noreturn, used)) void cr_thread(struct cr_ctl *ctl, struct cr_slot *slot)
{
	run_ops(ctl, slot->program, slot->nr_ops, &slot->failed, &slot->error);
	if (__atomic_add_fetch(&ctl->done, 1, __ATOMIC_ACQ_REL) == ctl->nr_slots)
		sys6(SYS_futex, (u64)&ctl->done, FUTEX_WAKE, 0x7fffffff, 0, 0, 0);
	while (!load(&ctl->gone))
		sys6(SYS_futex, (u64)&ctl->gone, FUTEX_WAIT, 0, 0, 0, 0);
	if (slot->is_ia32)
		cr_thread_leave32(slot);
	cr_thread_leave(slot);
}
