// SPDX-License-Identifier: GPL-2.0-only
// Devices that keep nothing for who has them open: the one that makes loop devices, that of userfaultfd, that of KVM, registers
// of a processor with a position.
// @skip-peer the original keeps no character devices but terminals and memory
#include "scenario.h"
#include <linux/loop.h>
#include <sys/ioctl.h>

#define NEW_USERFAULTFD 0xaa00

static int count;

static int open_device(const char *path, int flags)
{
	int fd = open(path, flags);
	count += fd >= 0;
	return fd;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int control = open_device("/dev/loop-control", O_RDWR), faults = open_device("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int kvm = open_device("/dev/kvm", O_RDWR), cpu = open_device("/dev/cpu/0/cpuid", O_RDONLY);
	if (count == 0)
		skip("none of these devices can be opened");
	uint32_t before[8], after[8];
	// A position is a leaf: each read goes on to the next one.
	if (cpu >= 0)
		must_be(pread(cpu, before, 32, 1) == 32 && lseek(cpu, 1, SEEK_SET) == 1);
	ready();
	wait_for_trigger();
	if (control >= 0)
		must_be(ioctl(control, LOOP_CTL_GET_FREE) >= 0);
	if (faults >= 0)
		must(close(must(ioctl(faults, NEW_USERFAULTFD, O_CLOEXEC))));
	if (kvm >= 0)
		expect("version of KVM", 12, ioctl(kvm, 0xae00, 0));
	if (cpu >= 0) {
		must_be(read(cpu, after, 32) == 32);
		expect("family of the processor", before[0], after[0]);
	}
	pass();
}
