// SPDX-License-Identifier: GPL-2.0-only
// Programs to be dumped by the peer for interop.test.ts: `image-targets MODE DIR` sets something up in DIR, says
// "ready" on stdout, which it closes then, and waits for ever. Needs: root; mode ns to be the first process of its own pid, net, ipc, uts and mount namespaces.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Where "ready" goes, or why it does not come. */
static int ready_fd = 1;

#define CHECK(call)                                                                      \
	({                                                                               \
		long result_ = (long)(call);                                             \
		if (result_ == -1) {                                                     \
			dprintf(ready_fd, "line %d: %s: %s\n", __LINE__, #call, strerror(errno)); \
			exit(1);                                                         \
		}                                                                        \
		result_;                                                                 \
	})

static void write_all(int fd, const void *data, size_t length)
{
	if (CHECK(write(fd, data, length)) != (long)length)
		exit(1);
}

static void mode_plain(void)
{
	int fd = CHECK(open("plain.txt", O_RDWR | O_CREAT | O_APPEND, 0644));
	write_all(fd, "some text\n", 10);
	CHECK(open(".", O_RDONLY | O_DIRECTORY));
	CHECK(open("/dev/null", O_RDWR | O_CLOEXEC));
	CHECK(open("plain.txt", O_PATH));
	CHECK(dup(fd));
}

static void mode_pipes(void)
{
	int both[2], small[2], lonely[2];
	char block[30000];
	memset(block, 'x', sizeof(block));
	CHECK(pipe(both));
	CHECK(fcntl(both[1], F_SETPIPE_SZ, 1 << 17));
	write_all(both[1], block, sizeof(block));
	CHECK(pipe2(small, O_NONBLOCK | O_CLOEXEC));
	CHECK(pipe(lonely));
	close(lonely[1]);
	CHECK(mkfifo("a-fifo", 0600));
	int fifo = CHECK(open("a-fifo", O_RDWR));
	write_all(fifo, "in the fifo", 11);
}

static void send_fd(int socket, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = "fd", .iov_len = 2};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	CHECK(sendmsg(socket, &msg, 0));
}

static void mode_unix(void)
{
	int stream[2], dgram[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	write_all(stream[0], "abcdef", 6);
	int carried = CHECK(open("carried.txt", O_RDWR | O_CREAT, 0600));
	send_fd(stream[0], carried);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, dgram));
	write_all(dgram[0], "first", 5);
	write_all(dgram[0], "second one", 10);
	int listener = CHECK(socket(AF_UNIX, SOCK_STREAM, 0));
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	strcpy(name.sun_path, "a-socket");
	CHECK(bind(listener, (struct sockaddr *)&name, sizeof(name)));
	CHECK(listen(listener, 7));
	int client = CHECK(socket(AF_UNIX, SOCK_STREAM, 0));
	CHECK(connect(client, (struct sockaddr *)&name, sizeof(name)));
	CHECK(accept(listener, NULL, NULL));
	CHECK(shutdown(client, SHUT_WR));
}

static void mode_inet(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(name);
	int one = 1;
	int listener = CHECK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	CHECK(bind(listener, (struct sockaddr *)&name, sizeof(name)));
	CHECK(listen(listener, 3));
	CHECK(getsockname(listener, (struct sockaddr *)&name, &length));
	int client = CHECK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	CHECK(connect(client, (struct sockaddr *)&name, sizeof(name)));
	CHECK(accept(listener, NULL, NULL));
	write_all(client, "on its way", 10);
	int udp = CHECK(socket(AF_INET6, SOCK_DGRAM, 0));
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	CHECK(bind(udp, (struct sockaddr *)&any, sizeof(any)));
	struct sock_filter accept_all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
	struct sock_fprog program = {.len = 1, .filter = accept_all};
	CHECK(setsockopt(udp, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	CHECK(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static void mode_netlink(void)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK};
	int netlink = CHECK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	CHECK(bind(netlink, (struct sockaddr *)&name, sizeof(name)));
}

static void mode_packet(void)
{
	CHECK(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static void mode_events(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0ULL};
	struct itimerspec later = {.it_value = {1000, 5}, .it_interval = {7, 0}};
	sigset_t signals;
	int epoll = CHECK(epoll_create1(EPOLL_CLOEXEC));
	int counter = CHECK(eventfd(77, EFD_NONBLOCK));
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, counter, &event));
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGRTMIN);
	int signal_fd = CHECK(signalfd(-1, &signals, 0));
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, signal_fd, &event));
	int timer = CHECK(timerfd_create(CLOCK_BOOTTIME, 0));
	CHECK(timerfd_settime(timer, 0, &later, NULL));
	int watch = CHECK(inotify_init1(IN_NONBLOCK));
	CHECK(inotify_add_watch(watch, ".", IN_CREATE | IN_DELETE));
	CHECK(inotify_add_watch(watch, "..", IN_MODIFY));
}

static _Noreturn void *wait_for_ever(void *argument)
{
	static __thread char stack[16384];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigaltstack(&alternate, NULL);
	prctl(PR_SET_NAME, argument);
	for (;;)
		pause();
}

static void mode_threads(void)
{
	pthread_t thread;
	char *names[] = {"one", "\xff\xfe not utf8", "three"};
	for (int index = 0; index < 3; index++)
		pthread_create(&thread, NULL, wait_for_ever, names[index]);
	struct sched_param priority = {.sched_priority = 3};
	pthread_setschedparam(thread, SCHED_RR, &priority);
	usleep(100000);
}

static void mode_signals(void)
{
	struct itimerval real = {.it_value = {5000, 0}, .it_interval = {1, 2}};
	struct itimerspec later = {.it_value = {9000, 1}};
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = 9};
	struct sigaction handler = {.sa_handler = SIG_IGN, .sa_flags = SA_RESTART};
	struct rlimit limit = {100, 200};
	sigset_t blocked;
	timer_t timer;
	sigfillset(&blocked);
	CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL));
	CHECK(sigaction(SIGUSR2, &handler, NULL));
	for (int value = 0; value < 5; value++)
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = value}));
	CHECK(syscall(SYS_tgkill, getpid(), getpid(), SIGTERM));
	CHECK(setitimer(ITIMER_REAL, &real, NULL));
	CHECK(timer_create(CLOCK_MONOTONIC, &how, &timer));
	CHECK(timer_settime(timer, 0, &later, NULL));
	CHECK(setrlimit(RLIMIT_CORE, &limit));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void mode_pty(void)
{
	int master = CHECK(posix_openpt(O_RDWR | O_NOCTTY));
	CHECK(grantpt(master));
	CHECK(unlockpt(master));
	int slave = CHECK(open(ptsname(master), O_RDWR));
	write_all(master, "typed\n", 6);
	write_all(slave, "shown", 5);
}

static void mode_memory(void)
{
	char block[4096];
	memset(block, 'g', sizeof(block));
	int memfd = CHECK(memfd_create("name of it", MFD_ALLOW_SEALING));
	write_all(memfd, block, sizeof(block));
	CHECK(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	char *shared = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared[5 * 4096] = 1;
	int small = CHECK(open("small-ghost", O_RDWR | O_CREAT, 0640));
	write_all(small, "small", 5);
	CHECK(unlink("small-ghost"));
	int large = CHECK(open("large-ghost", O_RDWR | O_CREAT, 0640));
	CHECK(ftruncate(large, 100000));
	CHECK(pwrite(large, block, sizeof(block), 8192));
	CHECK(pwrite(large, block, sizeof(block), 65536));
	CHECK(unlink("large-ghost"));
	char *area = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(area, 1, 1 << 16);
	CHECK(madvise(area, 1 << 16, MADV_DONTFORK));
}

static void mode_mappings(void)
{
	for (int index = 0; index < 10000; index++) {
		int protection = index % 2 ? PROT_READ : PROT_READ | PROT_WRITE;
		if (mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			exit(1);
	}
}

static _Noreturn int sleep_in_clone(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static int fork_alone(void)
{
	int pid = CHECK(fork());
	if (pid == 0)
		close(ready_fd);
	return pid;
}

static void mode_tree(void)
{
	static char stack[65536];
	if (fork_alone() == 0)
		_exit(3);
	if (fork_alone() == 0) {
		if (fork_alone() == 0)
			sleep_in_clone(NULL);
		CHECK(setsid());
		sleep_in_clone(NULL);
	}
	CHECK(clone(sleep_in_clone, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL));
	if (fork_alone() == 0) {
		raise(SIGSTOP);
		sleep_in_clone(NULL);
	}
	usleep(100000);
}

static void mode_locks(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
	int fd = CHECK(open("locked", O_RDWR | O_CREAT, 0600));
	CHECK(fcntl(fd, F_SETLK, &lock));
	int other = CHECK(open("flocked", O_RDWR | O_CREAT, 0600));
	CHECK(flock(other, LOCK_SH));
	int own = CHECK(open("ofd-locked", O_RDWR | O_CREAT, 0600));
	CHECK(fcntl(own, F_OFD_SETLK, &lock));
}

static void mode_seccomp(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_reboot, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void mode_ns(void)
{
	struct {
		long type;
		char text[21];
	} message = {4, "twenty-one bytes long"};
	CHECK(sethostname("name-in-ns", 10));
	int segment = CHECK(shmget(0x1234, 20000, IPC_CREAT | 0600));
	char *memory = shmat(segment, NULL, 0);
	memory[8192] = 'm';
	CHECK(semget(0x77, 3, IPC_CREAT | 0600));
	int queue = CHECK(msgget(0x99, IPC_CREAT | 0600));
	CHECK(msgsnd(queue, &message, 21, 0));
	message.type = 5;
	CHECK(msgsnd(queue, &message, 3, 0));
	CHECK(msgget(0x9a, IPC_CREAT | 0600));
	CHECK(mkdir("mounted", 0700));
	CHECK(mount("none", "mounted", "tmpfs", 0, "size=1m"));
	CHECK(close(CHECK(open("mounted/inside", O_RDWR | O_CREAT, 0600))));
}

static const struct {
	const char *name;
	void (*set_up)(void);
} modes[] = {
	{"plain", mode_plain},	 {"pipes", mode_pipes},	      {"unix", mode_unix},     {"inet", mode_inet},
	{"netlink", mode_netlink},	 {"events", mode_events},     {"threads", mode_threads}, {"signals", mode_signals},
	{"pty", mode_pty},	 {"memory", mode_memory},     {"mappings", mode_mappings}, {"tree", mode_tree},
	{"locks", mode_locks},	 {"seccomp", mode_seccomp},   {"ns", mode_ns},	      {"packet", mode_packet},
};

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	CHECK(chdir(argv[2]));
	setsid();
	// Standard streams must belong to this mount namespace and to nobody outside of the tree.
	ready_fd = CHECK(dup(1));
	int null = CHECK(open("/dev/null", O_RDWR));
	for (int fd = 0; fd < 3; fd++)
		CHECK(dup2(null, fd));
	CHECK(close(null));
	for (size_t index = 0; index < sizeof(modes) / sizeof(modes[0]); index++) {
		if (strcmp(modes[index].name, argv[1]) != 0)
			continue;
		modes[index].set_up();
		write_all(ready_fd, "ready\n", 6);
		CHECK(close(ready_fd));
		for (;;)
			pause();
	}
	return 2;
}
