// SPDX-License-Identifier: GPL-2.0-only
// Timer files that wake the machine up keep their clocks and times, also in a program that may not arm them any more.
// @may-differ fd/\d+/it_value it counts down
// @skip-peer the peer knows no clock that wakes the machine up
#include "scenario.h"
#include <linux/capability.h>
#include <sys/timerfd.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct timespec now;
	struct itimerspec got, relative = { .it_value = { 3000, 0 }, .it_interval = { 100, 12345 } };
	int fd = must(timerfd_create(CLOCK_BOOTTIME_ALARM, TFD_NONBLOCK)), at = must(timerfd_create(CLOCK_REALTIME_ALARM, 0));
	must(timerfd_settime(fd, 0, &relative, NULL));
	must(clock_gettime(CLOCK_REALTIME, &now));
	struct itimerspec absolute = { .it_value = { now.tv_sec + 4000, 0 } };
	must(timerfd_settime(at, TFD_TIMER_ABSTIME, &absolute, NULL));
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];
	must(syscall(SYS_capget, &head, caps));
	caps[CAP_WAKE_ALARM / 32].effective &= ~(1u << CAP_WAKE_ALARM % 32);
	caps[CAP_WAKE_ALARM / 32].permitted &= ~(1u << CAP_WAKE_ALARM % 32);
	must(syscall(SYS_capset, &head, caps));
	ready();
	wait_for_trigger();
	must(timerfd_gettime(fd, &got));
	must_be(got.it_value.tv_sec <= 3000 && got.it_value.tv_sec > 2900);
	expect("interval, seconds", 100, got.it_interval.tv_sec);
	expect("interval, nanoseconds", 12345, got.it_interval.tv_nsec);
	must(clock_gettime(CLOCK_REALTIME, &now));
	must(timerfd_gettime(at, &got));
	long off = now.tv_sec + got.it_value.tv_sec - absolute.it_value.tv_sec;
	must_be(off >= -1 && off <= 1);
	expect("arming it anew", -1, timerfd_settime(fd, 0, &relative, NULL));
	expect("its errno", EPERM, errno);
	pass();
}
