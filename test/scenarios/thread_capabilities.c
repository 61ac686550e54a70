// SPDX-License-Identifier: GPL-2.0-only
// Threads whose capability sets, bounding and ambient sets, securebits and no_new_privs differ; the main thread has its own.
// @cflags -pthread
#include "threads.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

enum { N = 3 };
#define BIT(cap) (1u << (cap))

struct caps { struct __user_cap_data_struct data[2]; unsigned long long ambient, bounding; int bits, no_new_privs; };

static void read_caps(struct caps *to)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	memset(to, 0, sizeof(*to));
	must(syscall(SYS_capget, &header, to->data));
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		to->ambient |= (unsigned long long)(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1) << cap;
		to->bounding |= (unsigned long long)(prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) << cap;
	}
	to->bits = prctl(PR_GET_SECUREBITS);
	to->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static void set_caps(unsigned effective_less, unsigned permitted_less, unsigned inheritable)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	must(syscall(SYS_capget, &header, data));
	data[0].permitted &= ~permitted_less;
	data[0].effective &= ~(effective_less | permitted_less);
	data[0].inheritable = inheritable;
	must(syscall(SYS_capset, &header, data));
}

static void set_up(long i)
{
	if (i == 0) {
		set_caps(BIT(CAP_CHOWN), 0, BIT(CAP_NET_BIND_SERVICE));
	} else if (i == 1) {
		must(prctl(PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0));
		must(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS));
		set_caps(BIT(CAP_KILL), BIT(CAP_MKNOD) | BIT(CAP_SYS_TIME), BIT(CAP_SYS_PTRACE) | BIT(CAP_FOWNER));
		must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 0, 0));
	} else if (i == 2) {
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		set_caps(~0u, ~BIT(CAP_SETGID), 0);
	} else {
		set_caps(0, BIT(CAP_SYS_MODULE), BIT(CAP_SETPCAP));
	}
}

static void check(const char *who, const struct caps *before)
{
	struct caps now;
	read_caps(&now);
	for (int w = 0; w < 2; w++) {
		expect(who, before->data[w].effective, now.data[w].effective);
		expect(who, before->data[w].permitted, now.data[w].permitted);
		expect(who, before->data[w].inheritable, now.data[w].inheritable);
	}
	expect(who, before->ambient, now.ambient);
	expect(who, before->bounding, now.bounding);
	expect(who, before->bits, now.bits);
	expect(who, before->no_new_privs, now.no_new_privs);
}

static void *run(void *arg)
{
	struct caps before;
	set_up((long)arg);
	read_caps(&before);
	arrive_and_wait();
	check((const char *[]){ "first thread", "second thread", "third thread" }[(long)arg], &before);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct caps before;
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	set_up(N);
	read_caps(&before);
	checkpoint_threads(N);
	check("main thread", &before);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
