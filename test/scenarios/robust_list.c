// SPDX-License-Identifier: GPL-2.0-only
// The robust futex list set by the program is set still.
#include "scenario.h"
#include <linux/futex.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static struct robust_list_head head;
	head.list.next = &head.list;
	must(syscall(SYS_set_robust_list, &head, sizeof(head)));
	ready();
	wait_for_trigger();
	struct robust_list_head *got = NULL;
	size_t size = 0;
	must(syscall(SYS_get_robust_list, 0, &got, &size));
	expect("robust list", (long)&head, (long)got);
	expect("its size", sizeof(head), size);
	pass();
}
