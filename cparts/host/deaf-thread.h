/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread that no signal is delivered to: those of criu are the main thread's. */
#ifndef CR_DEAF_THREAD_H
#define CR_DEAF_THREAD_H
#include <pthread.h>
#include <signal.h>

/* As pthread_create: 0 or an error number. */
static inline int start_deaf_thread(pthread_t *thread, void *(*entry)(void *), void *arg)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int ret = pthread_create(thread, NULL, entry, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

#endif
