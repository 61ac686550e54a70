// SPDX-License-Identifier: GPL-2.0-only
// Processes with files of every kind, handed down, duplicated and closed at random (by a fixed seed).
// @may-differ (proc/\d+/)?fd/\d+/it_value it counts down
#define SEED 1
#include "tree_everything.h"
