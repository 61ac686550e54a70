// SPDX-License-Identifier: GPL-2.0-only
// Ids, capabilities, limits, signals, timers, scheduling and names of processes and a thread, set at random (by a fixed seed).
// @skip-peer CRIU 4.1.1 keeps no affinity, personality or timer slack, and fails to dump without some capabilities
// @cflags -pthread
#define SEED 1
#include "task_random.h"
