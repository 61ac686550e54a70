// SPDX-License-Identifier: GPL-2.0-only
// A map of bpf(2) whose values' types are described (BTF): by the description the kernel knows that they hold a lock, which it takes
// when it's asked to, and leaves out of what it shows.
// @skip-peer its build knows no bpf maps (no libbpf)
#include "scenario.h"
#include <linux/bpf.h>

struct value {
	int number;
	unsigned lock;
};

static const struct {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t header, type_at, type_bytes, strings_at, strings_bytes;
	uint32_t types[4 + 2 * 3 + 3 * 3];
	char strings[40];
} __attribute__((packed)) description = {
	0xeb9f, 1, 0, 24, 0, 76, 76, 40,
	{
		1, 1 << 24, 4, 1 << 24 | 32, // 1: int
		5, 4 << 24 | 1, 4, 19, 1, 0, // 2: struct bpf_spin_lock { int val; }
		23, 4 << 24 | 2, 8, 29, 1, 0, 36, 2, 32, // 3: struct value { int number; struct bpf_spin_lock lock; }
	},
	// 1      5               19    23      29       36
	"\0int\0bpf_spin_lock\0val\0value\0number\0lck",
};

static int call_bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int load(const void *bytes, unsigned length)
{
	union bpf_attr attr = { .btf = (unsigned long)bytes, .btf_size = length };
	return call_bpf(BPF_BTF_LOAD, &attr);
}

static int access_map(int fd, int command, unsigned key, struct value *value)
{
	union bpf_attr attr = { .map_fd = fd, .key = (unsigned long)&key, .value = (unsigned long)value, .flags = BPF_F_LOCK };
	return call_bpf(command, &attr);
}

static void expect_types(int fd)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr = { .info = { .bpf_fd = fd, .info_len = sizeof(info), .info = (unsigned long)&info } };
	must(call_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr));
	expect("type of keys", 1, info.btf_key_type_id);
	expect("type of values", 3, info.btf_value_type_id);
	union bpf_attr by_id = { .btf_id = info.btf_id };
	int btf = must(call_bpf(BPF_BTF_GET_FD_BY_ID, &by_id));
	char bytes[sizeof(description)];
	struct bpf_btf_info btf_info = { .btf = (unsigned long)bytes, .btf_size = sizeof(bytes) };
	union bpf_attr look = { .info = { .bpf_fd = btf, .info_len = sizeof(btf_info), .info = (unsigned long)&btf_info } };
	must(call_bpf(BPF_OBJ_GET_INFO_BY_FD, &look));
	expect("length of the description", sizeof(description), btf_info.btf_size);
	expect_bytes("description", &description, bytes, sizeof(bytes));
	must(close(btf));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int btf = load(&description, sizeof(description));
	if (btf < 0)
		skip("BPF_BTF_LOAD: %s", strerror(errno));
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 3 };
	attr.btf_fd = btf;
	attr.btf_key_type_id = 1;
	attr.btf_value_type_id = 3;
	int fd = must(call_bpf(BPF_MAP_CREATE, &attr)), same = must(dup(fd));
	must(close(btf));
	expect_types(fd);
	for (unsigned i = 0; i < 3; i++)
		must(access_map(fd, BPF_MAP_UPDATE_ELEM, i, &(struct value){ i * 5 + 1, 0 }));
	ready();
	wait_for_trigger();
	expect_types(same);
	for (unsigned i = 0; i < 3; i++) {
		struct value value;
		must(access_map(fd, BPF_MAP_LOOKUP_ELEM, i, &value));
		expect("value", i * 5 + 1, value.number);
	}
	pass();
}
