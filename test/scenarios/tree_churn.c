// SPDX-License-Identifier: GPL-2.0-only
// Tasks are forked and die all the time: a parent reads up to 11 tokens from a pipe and forks one child for each, which
// writes its token back and exits. No token is lost, every child exits with 0, and fork goes on.
// @busy children
// @trigger file
// @may-differ tree|proc/.* children come and go
// @may-differ (stat/state|status/State|stat/blocked|status/(SigBlk|ShdPnd|SigPnd)|stat/signal) as the moment wants it
// @may-differ fd/.* it's reading the pipe
// @storm 20
#define CHILD_SLEEPS_US 0
#include "tree_churn.h"
