// SPDX-License-Identifier: GPL-2.0-only
// @memory
// Parent and child have each their own private memory: data, heap, stack and mappings, before and after.
#include "tree.h"

static int data = 1;
static char *heap, *map;

static void set(int seed, volatile int *stack)
{
	data = seed;
	*stack = seed + 1;
	fill(heap, 100000, seed);
	fill(map, 20 * PAGE, seed + 50);
}

static void check(int seed, volatile int *stack)
{
	expect("data", seed, data);
	expect("stack", seed + 1, *stack);
	expect_fill("heap", heap, 100000, seed);
	expect_fill("mapping", map, 20 * PAGE, seed + 50);
}

static void run(void *arg)
{
	volatile int stack;
	set((long)arg, &stack);
	arrive_and_wait();
	check((long)arg, &stack);
	set((long)arg + 10, &stack);
	check((long)arg + 10, &stack);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	volatile int stack;
	heap = malloc(100000);
	map = must(mmap(NULL, 20 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	set(1, &stack);
	pid_t children[3];
	for (long i = 0; i < 3; i++)
		children[i] = start_child(run, (void *)(i + 2));
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++) {
		check(1, &stack);
		check_child(children[i]);
	}
	check(1, &stack);
	pass();
}
