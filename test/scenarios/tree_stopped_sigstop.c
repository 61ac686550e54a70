// SPDX-License-Identifier: GPL-2.0-only
// A child stopped by SIGSTOP stays stopped; the news of the stop, unread before, tells that signal; SIGCONT has it go on.
#include "tree.h"
#define STOP SIGSTOP
#include "tree_stopped.h"
