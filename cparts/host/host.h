/* SPDX-License-Identifier: GPL-2.0-only */
/* The host library: what JavaScript can't do itself. No policy, no parsing, no state between calls.
 * All functions return >= 0 or -errno. src/sys/ has one wrapper for each export. */
#ifndef CR_HOST_H
#define CR_HOST_H

#include <stdint.h>
#include <sys/syscall.h>

#define CR_EXPORT __attribute__((visibility("default")))

/* A descriptor that a new process gets under another number. */
struct cr_fd_move {
	int32_t from;
	int32_t to;
};

struct cr_spawn {
	uint64_t flags;      /* clone3 flags: CLONE_NEW*, CLONE_PARENT; the library adds what it needs itself */
	uint64_t set_tid;    /* address of pid_t[set_tid_size], innermost namespace first */
	uint64_t set_tid_size;
	uint64_t moves;      /* address of struct cr_fd_move[nr_moves]; `to` must be above every `from` or equal to it */
	uint32_t nr_moves;
	int32_t exec_fd;     /* executed with execveat; must be among `from` when close_from would take it */
	int32_t close_from;  /* descriptors from here up to the lowest moved one and above the highest are closed */
	int32_t die_with_parent;
	int32_t stage;       /* out: what failed: 1 clone3, 2 dup, 3 exec, 4 parent gone */
	int32_t error;       /* out: its errno */
};

/* In the address of a piece: pages of it are shared copy-on-write, which process_vm_readv would undo (it pins them, and
 * for that the kernel unshares: mm/gup.c, gup_must_unshare). Read through /proc/PID/mem instead. */
#define CR_PIECE_SHARED 1u

/* The piece is memory of ours, of any length: a header in a stream. */
#define CR_PIECE_LOCAL 2u

/* One piece of memory to move: `bytes` at `address` of the other process. */
struct cr_piece {
	uint64_t address;
	uint64_t bytes;
};

struct cr_pump {
	uint64_t pieces;     /* address of struct cr_piece[nr_pieces], all of whole pages */
	uint64_t nr_pieces;
	uint64_t offset;     /* where in the file the first piece goes; the others follow without gaps */
	int32_t pid;
	int32_t mem_fd;      /* /proc/PID/mem: reads what process_vm_readv may not (no PROT_READ); -1: none */
	int32_t out_fd;      /* a regular file; a socket with CR_PUMP_STREAM; anything with CR_PUMP_PIPE */
	uint32_t nr_threads;
	uint64_t failed_at;  /* out: address of the page that could not be read */
	int32_t failed_write; /* out: 1 when writing failed, 0 when reading */
	uint32_t flags;      /* CR_PUMP_* */
};

/* The process runs on: all is read through mem_fd, and pages that aren't there any more count as zeros. */
#define CR_PUMP_LIVE 1u
/* The pieces are sent one after the other, by one thread. */
#define CR_PUMP_STREAM 2u
/* The output is a pipe, or whatever else has no positions: written to by one thread. */
#define CR_PUMP_PIPE 4u

/* Memory that is copied while its process runs on: it's write-protected until then. */
struct cr_late {
	uint64_t address;
	uint64_t bytes;
	uint64_t offset;     /* where in the file it goes */
	uint64_t flags;      /* CR_LATE_* */
};

/* As CR_PIECE_SHARED. */
#define CR_LATE_SHARED 1u
/* It consists of huge pages, which stay whole. */
#define CR_LATE_HUGE 2u

struct cr_late_task {
	uint64_t pieces;     /* address of struct cr_late[nr_pieces], ascending */
	uint64_t nr_pieces;
	int32_t pid;
	int32_t mem_fd;      /* /proc/PID/mem */
	int32_t out_fd;      /* a regular file */
	int32_t uffd;        /* all pieces are registered with it */
};

struct cr_snapshot {
	uint64_t tasks;      /* address of struct cr_late_task[nr_tasks] */
	uint64_t nr_tasks;
	uint64_t handle;     /* between start and end; all of this stays where it is meanwhile */
	uint64_t failed_at;  /* out: address of memory */
	int32_t failed_write; /* out: 1 when writing failed */
	int32_t pad;
};

struct cr_seize {
	uint64_t tids;       /* address of int32_t[nr_tids], threads of one process */
	uint64_t results;    /* out: address of int32_t[nr_tids]: 0 or -errno for each */
	uint64_t others;     /* address of int32_t[nr_others]: those of its threads that are seized already */
	uint32_t nr_tids;
	uint32_t nr_others;
	int32_t leader;
	uint32_t options;    /* PTRACE_O_* */
};

/* What a child does in our place when we're gone, or late. */
struct cr_guard {
	int32_t pipe_fd;     /* the reading end; its other end must be ours alone */
	int32_t state_fd;    /* what is written to */
	int32_t timeout_ms;  /* until `late` is written; -1: never */
	int32_t pad;
	char end[16];        /* written when we're gone; zero-terminated */
	char late[16];
};

/* A thread that has ended, among the results of cr_step. */
#define CR_STEP_GONE 0x40000000

struct cr_step {
	uint64_t tids;       /* address of int32_t[nr_tids]: tracees that stand still */
	uint64_t results;    /* out: address of int32_t[nr_tids]: 0 at a system call stop, the ptrace code of another stop,
	                      * CR_STEP_GONE, -EAGAIN when it didn't stop in time, -errno */
	uint32_t nr_tids;
	uint32_t timeout_ms;
	uint32_t request;    /* PTRACE_SYSCALL; PTRACE_INTERRUPT for those that run */
	uint32_t unused;
};

/* An option to be read from a socket. */
struct cr_sockopt {
	int32_t level;
	int32_t name;
	uint32_t offset;     /* of its value among the values */
	uint32_t capacity;
	uint32_t length;     /* out: of the value */
	int32_t result;      /* out: 0 or -errno */
};

/* What a descriptor of another process is. */
struct cr_fd {
	int32_t fd;
	int32_t other_fd;    /* of the other process: perhaps the same open file; -1: don't compare */
	int32_t shared;      /* out: it's the same; of the rest only fdinfo is told then */
	int32_t own_fd;      /* out: a copy, the caller's to close; -1: none */
	uint32_t info_at;    /* out: fdinfo among the text */
	uint32_t info_length;
	uint32_t link_at;    /* out: the link's text */
	uint32_t link_length;
	int32_t owner_type;  /* out: fcntl(2) F_GETOWN_EX, F_GETSIG, F_GETOWNER_UIDS; 0 for handles (O_PATH) */
	int32_t owner;
	int32_t signum;
	uint32_t owner_uids[2];
	int32_t path_error;  /* out: statx(2) of the path that the link shows, 0 or -errno; -EINVAL for no path */
	uint8_t status[0x90]; /* out: struct statx up to the device numbers */
	uint8_t path_status[0x90];
};

/* Calls that can fail for a descriptor. */
#define CR_FDS_FDINFO 1
#define CR_FDS_READ 2
#define CR_FDS_READLINK 3
#define CR_FDS_GETFD 4
#define CR_FDS_STATX 5
#define CR_FDS_FCNTL 6

struct cr_fds {
	uint64_t list;       /* address of struct cr_fd[nr], zeroed but for fd and other_fd */
	uint64_t text;       /* address of room for links and fdinfo */
	uint64_t text_size;
	uint64_t used;       /* out: bytes of text */
	uint64_t prefix;     /* address of what goes before paths to reach them from here, and its length */
	uint64_t prefix_length;
	uint32_t nr;
	uint32_t done;       /* out: how many are told of */
	int32_t pid;
	int32_t pidfd;
	int32_t other_pid;   /* whose descriptors to compare with; 0: nobody's */
	int32_t call;        /* out: CR_FDS_*, what failed */
	int32_t by_two;      /* a second thread takes half of the list */
	int32_t pad;
};

/* What a pipe holds, duplicated by tee(2) into another one, which is empty before and after. */
struct cr_pipe_peek {
	uint64_t data;       /* address of room for the content */
	uint32_t capacity;
	int32_t fd;          /* a read end */
	int32_t read_end;    /* of the other one; not waiting (O_NONBLOCK) */
	int32_t write_end;
	uint32_t other_size; /* in and out: capacity of the other one in bytes; raised where the pipe's is larger */
	uint32_t size;       /* out: capacity of the pipe */
	uint32_t bytes;      /* out: how many wait in it */
	uint32_t copied;     /* out: how many were read */
	uint32_t packets;    /* out: 1 when packets (O_DIRECT) are seen among it */
	uint32_t pad;
};

/* The queue of a terminal's end: what waits there to be read is read and put back. Addresses are of `struct termios` as of
 * TCGETS; 0 for a master, which has none of its own. */
struct cr_requeue {
	uint64_t raw;        /* settings while the beginning of a line is read, and while bytes without lines are put back */
	uint64_t lines;      /* settings while lines are put back, with any end-of-file character; 0 where there are none */
	uint64_t own;        /* settings as they were */
	uint64_t locks;      /* which of them are locked; 0 for none */
	uint64_t data;       /* address of room for what was read */
	uint64_t ends;       /* address of room for uint32_t: each line as twice its length, plus 1 at an end of file */
	uint32_t capacity;   /* of data, in bytes */
	uint32_t max_ends;
	int32_t fd;
	int32_t other_fd;    /* the terminal's other end, through which goes what has no room */
	int32_t packets;     /* what is read begins with a byte of status */
	uint32_t length;     /* out: bytes read */
	uint32_t nr_ends;    /* out */
	int32_t error;       /* out: errno; something may be lost */
	int32_t stopped;     /* out, of a master: further output is stopped */
	int32_t pad;
};

/* A mark of a socket that isn't where the program has it, for a child that outlives us. */
struct cr_looks {
	int32_t fd;          /* the socket; -1 while all is as the program has it */
	int32_t before;      /* SO_PEEK_OFF as the program has it */
	int32_t pidfd;       /* ours */
	int32_t pad;
	uint64_t stack;      /* of the child */
	uint64_t stack_size;
};

/* A descriptor that stays open when we end. */
struct cr_lazy_fd {
	int32_t fd;
	int32_t is_pidfd;    /* of a process that can't go on without us; otherwise a userfaultfd */
};

/* Processes whose memory we bring, for a child that outlives us until they have ended. */
struct cr_lazy_guard {
	uint64_t list;       /* address of struct cr_lazy_fd[], sorted by number; the number of the first is how many follow */
	int32_t pad;
	int32_t pidfd;       /* ours */
	uint64_t stack;      /* of the child */
	uint64_t stack_size;
};

/* A program to start. Its descriptors 0 to nr_fds - 1 are copies of ours, it has no others; no signal is blocked or ignored. */
struct cr_launch {
	uint64_t path;       /* of the program; zero-terminated */
	uint64_t argv;       /* address of pointers to words, a zero at the end */
	uint64_t envp;       /* the same for its environment */
	uint64_t fds;        /* address of int32_t[nr_fds]: ours, each nr_fds or more; -1: closed */
	uint32_t nr_fds;
	int32_t new_session;
	int32_t error;       /* out: errno of what failed in the child */
	int32_t pad;
};

/* What is told of moved memory, and to whom. */
struct cr_progress {
	uint64_t counter;    /* address of a number of bytes that others count, see cr_progress_note; ignored at the start */
	char what[24];       /* zero-terminated */
	int32_t tty_fd;      /* a line on a terminal, from the second second on; -1: none */
	int32_t json_fd;     /* lines of JSON; -1: none */
};

/* What is said when we end ourselves because the main thread hangs. */
struct cr_stuck {
	uint64_t text;
	uint64_t length;
	uint64_t armed;      /* address of a uint32_t: 0 while it may hang */
	uint32_t seconds;
	int32_t log_fd;      /* where it's said beside standard error; -1: nowhere */
};

CR_EXPORT int64_t cr_syscall(int64_t nr, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f);

/* A child that is to outlive us must not be killed with our process group, as timeout(1) and shells do. Set from here: it holds
 * when the call returns. */
static inline void cr_leave_group(int64_t pid)
{
	if (pid > 0)
		cr_syscall(SYS_setpgid, pid, pid, 0, 0, 0, 0);
}
CR_EXPORT int64_t cr_rewrite(int32_t fd, uint64_t times); /* a file's first byte; the last result */
CR_EXPORT int64_t cr_spawn(struct cr_spawn *request);
CR_EXPORT int64_t cr_pump(struct cr_pump *request);
CR_EXPORT int64_t cr_snapshot_start(struct cr_snapshot *request);
CR_EXPORT int64_t cr_snapshot_copy(struct cr_snapshot *request);
CR_EXPORT int64_t cr_snapshot_end(struct cr_snapshot *request, int32_t cancel);
CR_EXPORT int64_t cr_progress_start(const struct cr_progress *request);
CR_EXPORT int64_t cr_progress_note(uint64_t bytes, int64_t more, uint64_t counter);
CR_EXPORT int64_t cr_progress_hide(void);
CR_EXPORT int64_t cr_progress_end(int32_t ok);
CR_EXPORT int64_t cr_stuck_start(const struct cr_stuck *request);
CR_EXPORT int64_t cr_stuck_end(void);
CR_EXPORT int64_t cr_seize(struct cr_seize *request);
CR_EXPORT int64_t cr_guard(const struct cr_guard *request);
CR_EXPORT int64_t cr_guard_looks(struct cr_looks *looks);
CR_EXPORT int64_t cr_guard_lazy(struct cr_lazy_guard *guard);
CR_EXPORT int64_t cr_step(struct cr_step *request);
CR_EXPORT int64_t cr_sockopts(int32_t fd, struct cr_sockopt *list, uint64_t nr, uint8_t *values,
			      const uint8_t *usual);
CR_EXPORT int64_t cr_fds(struct cr_fds *request);
CR_EXPORT int64_t cr_close_all(const int32_t *fds, uint64_t nr);
CR_EXPORT int64_t cr_pipe_peek(struct cr_pipe_peek *request);
CR_EXPORT int64_t cr_requeue(struct cr_requeue *request);
CR_EXPORT int64_t cr_launch(struct cr_launch *request);
CR_EXPORT int64_t cr_note_signals(int32_t *place, uint64_t signals);
CR_EXPORT int64_t cr_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *out);

/* Of the library itself: bytes that a thread has moved. */
void cr_progress_count(uint64_t bytes);

#endif
