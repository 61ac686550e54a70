// SPDX-License-Identifier: GPL-2.0-only
// A program in whose text a uprobe is set goes on with it where that is allowed: the probe is hit and nothing else is felt.
// @options --allow-uprobes
// @skip-peer CRIU 4.1.1 doesn't know --allow-uprobes
// @may-differ (stat/vsize|status/Vm(Lib|Size)) that page is counted
// @may-differ s?maps/7fffffffe000-7ffffffff000/.* the kernel's own page for uprobes comes with the next hit
#define FOR_ALL
#include "refused_uprobes.c"
