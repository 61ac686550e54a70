// SPDX-License-Identifier: GPL-2.0-only
// Files of all sorts in processes that share them, made and changed at random (by a fixed seed).
// @options --file-locks --link-remap
// @may-differ proc/\d+/fd/\d+/it_value they count down
// @may-differ proc/\d+/fd/\d+/lock numbers of inodes that are made anew
// @skip-peer the original loses modes of eventfds, and can't dump all of these
#define SEED 1
#include "files_random.h"
