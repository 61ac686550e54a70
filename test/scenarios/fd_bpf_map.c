// SPDX-License-Identifier: GPL-2.0-only
// Maps of bpf(2): a hash table and an array, each open by two descriptions with modes of their own, one map that is frozen, one
// that is shared with a child and one that is empty.
// @skip-peer its build knows no bpf maps (no libbpf)
#include "tree.h"
#include <linux/bpf.h>

#define ENTRIES 6000
#define SLOTS 700

static int call_bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_map(unsigned type, unsigned value_size, unsigned entries, const char *name)
{
	union bpf_attr attr = { .map_type = type, .key_size = 4, .value_size = value_size, .max_entries = entries };
	strcpy(attr.map_name, name);
	int fd = call_bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0 && (errno == EPERM || errno == ENOSYS))
		skip("bpf maps: %s", strerror(errno));
	return must(fd);
}

static int update(int fd, unsigned key, const void *value)
{
	union bpf_attr attr = { .map_fd = fd, .key = (unsigned long)&key, .value = (unsigned long)value };
	return call_bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static int look_up(int fd, unsigned key, void *value)
{
	union bpf_attr attr = { .map_fd = fd, .key = (unsigned long)&key, .value = (unsigned long)value };
	return call_bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

static int open_again(int fd, unsigned flags)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr = { .info = { .bpf_fd = fd, .info_len = sizeof(info), .info = (unsigned long)&info } };
	must(call_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr));
	union bpf_attr open = { .map_id = info.id, .open_flags = flags };
	return must(call_bpf(BPF_MAP_GET_FD_BY_ID, &open));
}

static void expect_refused(const char *what, int ret)
{
	expect(what, -1, ret);
	expect(what, EPERM, errno);
}

static long words[3];

static void fill_maps(int hash, int array)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		words[0] = i, words[1] = i * 7L, words[2] = ~(long)i;
		must(update(hash, i * 3, words));
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		int value = i * 5 + 1;
		must(update(array, i, &value));
	}
}

static void check(int hash, int array)
{
	unsigned key = 0, next, count = 0;
	union bpf_attr attr = { .map_fd = hash, .next_key = (unsigned long)&next };
	while (call_bpf(BPF_MAP_GET_NEXT_KEY, &attr) == 0) {
		must(look_up(hash, next, words));
		must_be(next % 3 == 0 && words[0] == next / 3 && words[1] == words[0] * 7 && words[2] == ~words[0]);
		key = next;
		attr.key = (unsigned long)&key;
		count++;
	}
	expect("elements", ENTRIES, count);
	for (unsigned i = 0; i < SLOTS; i++) {
		int value;
		must(look_up(array, i, &value));
		expect("value in the array", i * 5 + 1, value);
	}
}

static int shared, line[2];

static void run(void *arg)
{
	(void)arg;
	arrive();
	int value;
	must_be(read(line[0], &value, 1) == 1);
	must(look_up(shared, 0, &value));
	value++;
	must(update(shared, 1, &value));
	_exit(0);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int hash = make_map(BPF_MAP_TYPE_HASH, sizeof(words), 2 * ENTRIES, "table.of_words");
	int array = make_map(BPF_MAP_TYPE_ARRAY, sizeof(int), SLOTS, "");
	int empty = make_map(BPF_MAP_TYPE_HASH, 1, 4, "empty");
	shared = make_map(BPF_MAP_TYPE_ARRAY, sizeof(int), 2, "shared");
	fill_maps(hash, array);
	int reader = open_again(hash, BPF_F_RDONLY), writer = open_again(array, BPF_F_WRONLY);
	union bpf_attr freeze = { .map_fd = array };
	int frozen = call_bpf(BPF_MAP_FREEZE, &freeze) == 0;
	must(pipe(line));
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check(hash, array);
	check(reader, array);
	expect_refused("writing by what is for reading", update(reader, 0, words));
	int value = 1;
	expect_refused("reading by what is for writing", look_up(writer, 0, &value));
	if (frozen)
		expect_refused("writing to a frozen map", update(array, 0, &value));
	expect("an element of the empty map", -1, look_up(empty, 0, &value));
	words[0] = 42;
	must(update(hash, 0, words));
	must(look_up(reader, 0, words));
	expect("what the other descriptor wrote", 42, words[0]);
	value = 17;
	must(update(shared, 0, &value));
	must_be(write(line[1], "", 1) == 1);
	expect_exit(child, 0);
	must(look_up(shared, 1, &value));
	expect("the child's answer", 18, value);
	for (unsigned i = 3; i < 7; i++)
		must(update(empty, i, &value));
	expect("one more than there is room for", -1, update(empty, 9, &value));
	pass();
}
