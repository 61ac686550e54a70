// SPDX-License-Identifier: GPL-2.0-only
// What all loads share: numbers that can't be compressed and can be told from their place, and the talk with the stage.
#ifndef CRIU_BENCH_TARGET_H
#define CRIU_BENCH_TARGET_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_FD 3

static inline void need(int fine, const char *what)
{
	if (!fine) {
		perror(what);
		exit(2);
	}
}

// The random number that belongs to a place (a Weyl sequence through two rounds of multiply and shift).
static inline uint64_t noise(uint64_t place)
{
	uint64_t x = (place + 1) * 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 31)) * 0xd6e8feb86659fd93u;
	x = (x ^ (x >> 29)) * 0xa0761d6478bd642fu;
	return x ^ (x >> 32);
}

static inline void fill_noise(uint64_t *words, size_t count, uint64_t first)
{
	for (size_t i = 0; i < count; i++)
		words[i] = noise(first + i);
}

// Blocks what `wait_and_check` waits for; early, as the signal may come at any time after `tell_ready`.
static inline void tell_ready(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0, "sigprocmask");
	need(write(READY_FD, "ready", 5) == 5, "write");
	close(READY_FD);
}

// Waits for the order to look at itself, and exits with 0 when `check` finds all as it was.
static inline void wait_and_check(int (*check)(void))
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (sigwaitinfo(&set, NULL) < 0)
		;
	exit(check() ? 0 : 1);
}

#endif
