// SPDX-License-Identifier: GPL-2.0-only
// Two hundred processes grown at random (by a fixed seed): forks with and without CLONE_PARENT, deaths reaped or not,
// setsid at odd times, subreapers on and off so that orphans land on some ancestor. Everyone keeps session, group, parent.
// @skip-peer CRIU 4.1.1 can rebuild such sessions only below the init of a pid namespace
#define DEATHS 1
#define SIBLINGS 1
#include "tree_sessions_random.h"
