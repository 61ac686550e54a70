// SPDX-License-Identifier: GPL-2.0-only
// Opens one file of each kind that this kernel can make and prints what came of each: "NAME FD", or "NAME -ERRNO". Waits then.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef BPF_MAP_TYPE_ARENA
#define BPF_MAP_TYPE_ARENA 33
#endif

static const char *directory;

static void tell(const char *name, long fd)
{
	printf("%s %ld\n", name, fd < 0 ? (long)-errno : fd);
}

// ---- bpf ------------------------------------------------------------------------------------------------------------

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static long make_map(int type, unsigned key, unsigned value, unsigned entries, unsigned flags)
{
	union bpf_attr attr = { .map_type = type, .key_size = key, .value_size = value, .max_entries = entries };
	attr.map_flags = flags;
	return bpf(BPF_MAP_CREATE, &attr);
}

static long load_program(int type, int attach)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = type, .expected_attach_type = attach };
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = 2;
	attr.license = (uintptr_t) "GPL";
	return bpf(BPF_PROG_LOAD, &attr);
}

// A description of one type, int.
static long load_btf(void)
{
	struct {
		uint16_t magic;
		uint8_t version, flags;
		uint32_t header, type_at, type_bytes, strings_at, strings_bytes;
		uint32_t type[4];
		char strings[5];
	} __attribute__((packed)) all = {
		0xeb9f, 1, 0, 24, 0, 16, 16, 5, { 1, 1 << 24, 4, 32 }, { 0, 'i', 'n', 't', 0 },
	};
	union bpf_attr attr = { 0 };
	attr.btf = (uintptr_t)&all;
	attr.btf_size = sizeof(all);
	return bpf(BPF_BTF_LOAD, &attr);
}

static long make_link(void)
{
	long ns = open("/proc/self/ns/net", O_RDONLY);
	long program = load_program(BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP);
	if (ns < 0 || program < 0)
		return -1;
	union bpf_attr attr = { 0 };
	attr.link_create.prog_fd = program;
	attr.link_create.target_fd = ns;
	attr.link_create.attach_type = BPF_SK_LOOKUP;
	long link = bpf(BPF_LINK_CREATE, &attr);
	close(ns);
	close(program);
	return link;
}

static long enable_stats(void)
{
	union bpf_attr attr = { 0 };
	attr.enable_stats.type = BPF_STATS_RUN_TIME;
	return bpf(BPF_ENABLE_STATS, &attr);
}

static void open_bpf(void)
{
	tell("bpf-program", load_program(BPF_PROG_TYPE_SOCKET_FILTER, 0));
	tell("bpf-link", make_link());
	tell("bpf-btf", load_btf());
	tell("bpf-stats", enable_stats());
	tell("bpf-map-hash", make_map(BPF_MAP_TYPE_HASH, 4, 8, 4, 0));
	tell("bpf-map-ringbuf", make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0));
	tell("bpf-map-lru", make_map(BPF_MAP_TYPE_LRU_HASH, 4, 8, 4, 0));
	tell("bpf-map-percpu", make_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 4, 0));
	tell("bpf-map-trie", make_map(BPF_MAP_TYPE_LPM_TRIE, 8, 8, 4, BPF_F_NO_PREALLOC));
	tell("bpf-map-queue", make_map(BPF_MAP_TYPE_QUEUE, 0, 8, 4, 0));
	tell("bpf-map-programs", make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0));
	tell("bpf-map-arena", make_map(BPF_MAP_TYPE_ARENA, 0, 0, 1, BPF_F_MMAPABLE));
}

// ---- mounts ----------------------------------------------------------------------------------------------------------

static void open_mounts(void)
{
	long context = syscall(SYS_fsopen, "tmpfs", 0);
	tell("fsopen", context);
	long other = syscall(SYS_fsopen, "tmpfs", 0);
	if (other >= 0 && syscall(SYS_fsconfig, other, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
		long mount = syscall(SYS_fsmount, other, 0, 0);
		tell("fsmount", mount);
		if (mount >= 0)
			tell("fsmount-file", openat(mount, "file", O_CREAT | O_RDWR, 0600));
		close(other);
	} else {
		tell("fsmount", -1);
	}
	tell("fspick", syscall(SYS_fspick, AT_FDCWD, "/proc", 0));
	tell("open-tree-root", syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE));
	tell("open-tree", syscall(SYS_open_tree, AT_FDCWD, directory, OPEN_TREE_CLONE));
	tell("open-tree-plain", syscall(SYS_open_tree, AT_FDCWD, directory, 0));
}

// ---- the rest ---------------------------------------------------------------------------------------------------------

static long open_ring(void)
{
	struct io_uring_params params = { 0 };
	return syscall(SYS_io_uring_setup, 4, &params);
}

static long open_event(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY };
	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static long open_ruleset(void)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE };
	return syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
}

// A child has the filter and passes its listener on by the shared descriptor table.
static int listen_in_child(void *fd)
{
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { 1, code };
	*(volatile long *)fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return 0;
}

static long open_listener(void)
{
	static char stack[65536];
	volatile long fd = -1;
	pid_t pid = clone(listen_in_child, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD, (void *)&fd);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return -1;
	return fd;
}

static long open_device(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC);
}

static long open_machine(const char *name)
{
	long device = open("/dev/kvm", O_RDWR);
	tell(name, device);
	if (device < 0)
		return -1;
	long machine = ioctl(device, 0xae01, 0);
	tell("kvm-vm", machine);
	return machine < 0 ? -1 : ioctl(machine, 0xae41, 0);
}

int main(int argc, char **argv)
{
	directory = argc > 1 ? argv[1] : "/tmp";
	open_bpf();
	open_mounts();
	tell("io_uring", open_ring());
	tell("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
	tell("perf", open_event());
	tell("landlock", open_ruleset());
	tell("seccomp", open_listener());
	tell("secretmem", syscall(SYS_memfd_secret, 0));
	tell("fanotify", fanotify_init(FAN_CLASS_CONTENT, O_RDONLY));
	tell("kvm-vcpu", open_machine("kvm"));
	tell("tun", open_device("/dev/net/tun", O_RDWR));
	tell("fuse", open_device("/dev/fuse", O_RDWR));
	tell("loop-control", open_device("/dev/loop-control", O_RDWR));
	tell("autofs", open_device("/dev/autofs", O_RDONLY));
	tell("btrfs-control", open_device("/dev/btrfs-control", O_RDWR));
	tell("cpu_dma_latency", open_device("/dev/cpu_dma_latency", O_RDWR));
	tell("vga_arbiter", open_device("/dev/vga_arbiter", O_RDWR));
	tell("vsock-device", open_device("/dev/vsock", O_RDWR));
	tell("userfaultfd-device", open_device("/dev/userfaultfd", O_RDWR));
	tell("hwrng", open_device("/dev/hwrng", O_RDONLY));
	tell("cpuid", open_device("/dev/cpu/0/cpuid", O_RDONLY));
	tell("vcs", open_device("/dev/vcs1", O_RDONLY));
	tell("console", open_device("/dev/tty0", O_RDWR | O_NOCTTY));
	tell("serial", open_device("/dev/ttyS0", O_RDWR | O_NOCTTY | O_NONBLOCK));
	tell("loop", open_device("/dev/loop0", O_RDONLY));
	tell("ptmx", open_device("/dev/ptmx", O_RDWR | O_NOCTTY));
	tell("zram", open_device("/dev/zram0", O_RDONLY));
	tell("rtc", open_device("/dev/rtc0", O_RDONLY));
	tell("rfkill", open_device("/dev/rfkill", O_RDWR));
	tell("sound", open_device("/dev/snd/timer", O_RDWR));
	tell("alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
	tell("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	tell("xdp", socket(AF_XDP, SOCK_RAW, 0));
	tell("mptcp", socket(AF_INET, SOCK_STREAM, 262));
	tell("sctp", socket(AF_INET, SOCK_STREAM, 132));
	printf("end\n");
	fflush(stdout);
	for (;;)
		pause();
}
