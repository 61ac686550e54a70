// SPDX-License-Identifier: GPL-2.0-only
// As tree_churn, but each child sleeps for 10 ms before it writes its token, so that most are caught alive.
// @busy children
// @trigger file
// @may-differ tree|proc/.* children come and go
// @may-differ (stat/state|status/State|stat/blocked|status/(SigBlk|ShdPnd|SigPnd)|stat/signal) as the moment wants it
// @may-differ fd/.* it's reading the pipe
// @storm 20
#define CHILD_SLEEPS_US 10000
#include "tree_churn.h"
