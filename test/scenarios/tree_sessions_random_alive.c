// SPDX-License-Identifier: GPL-2.0-only
// Two hundred processes grown at random (by a fixed seed), none of which dies: forks and setsid at
// odd times. Everyone keeps session, group and parent.
#define DEATHS 0
#define SIBLINGS 0
#include "tree_sessions_random.h"
