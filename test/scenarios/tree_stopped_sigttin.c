// SPDX-License-Identifier: GPL-2.0-only
// A child stopped by SIGTTIN stays stopped; the news of the stop, unread before, tells that signal; SIGCONT has it go on.
// @skip-peer CRIU 4.1.1 knows SIGSTOP and SIGTSTP as signals of a stop only
#include "tree.h"
#define STOP SIGTTIN
#include "tree_stopped.h"
