// SPDX-License-Identifier: GPL-2.0-only
// A child stopped by SIGTSTP stays stopped; the news of the stop, unread before, tells that signal; SIGCONT has it go on.
#include "tree.h"
#define STOP SIGTSTP
#include "tree_stopped.h"
