// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a program in whose text somebody outside has set a uprobe, and the probe goes on being hit.
// @expect refused UPROBES
#include "scenario.h"
#include <linux/perf_event.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static volatile int calls;

__attribute__((noinline, used, aligned(64))) void probed(void)
{
	calls++;
	asm volatile("nop");
}

// Offset in the program's file of an address in its text.
static unsigned long find_offset(unsigned long address, char *path)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	must_be(maps != NULL);
	unsigned long start, end, offset;
	for (char line[1024]; fgets(line, sizeof(line), maps);)
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %s", &start, &end, &offset, path) == 4 && address >= start && address < end) {
			fclose(maps);
			return address - start + offset;
		}
	fail("no mapping at the function");
}

#ifdef FOR_ALL
#define TARGET -1 // whoever executes the file, on any CPU: also the restored program
#else
#define TARGET pid
#endif

// Outside of the program's tree: sets the probe and holds it until the program has ended for good.
static void hold_probe(pid_t pid, int fd)
{
	char path[512];
	unsigned type = 0;
	must(setsid());
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	if (file == NULL || fscanf(file, "%u", &type) != 1)
		_exit(write(fd, "no", 2) != 2);
	struct perf_event_attr attr = { .type = type, .size = sizeof(attr), .sample_period = 1 };
	attr.probe_offset = find_offset((unsigned long)probed, path);
	attr.uprobe_path = (uint64_t)(unsigned long)path;
	int event = -1, cpus = (TARGET) == -1 ? (int)sysconf(_SC_NPROCESSORS_CONF) : 1;
	for (int cpu = 0; cpu < cpus; cpu++)
		event = syscall(SYS_perf_event_open, &attr, TARGET, TARGET == -1 ? cpu : -1, -1, 0);
	pid_t me = getpid();
	must_be(write(fd, event < 0 ? "no" : "ok", 2) == 2 && write(fd, &me, sizeof(me)) == sizeof(me));
	close(fd);
	struct timespec ms = { 0, 10000000 };
	for (int gone = 0; event >= 0 && gone < (TARGET == -1 ? 1000 : 1); gone = kill(pid, 0) == 0 ? 0 : gone + 1)
		nanosleep(&ms, NULL);
	_exit(0);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	pid_t me = getpid();
	must(pipe(ends));
	pid_t child = must(fork());
	if (child == 0) {
		if (must(fork()) == 0)
			hold_probe(me, ends[1]);
		_exit(0);
	}
	must_be(waitpid(child, NULL, 0) == child);
	char answer[3] = "";
	pid_t holder = 0;
	must_be(read(ends[0], answer, 2) == 2);
	must_be(strcmp(answer, "ok") || read(ends[0], &holder, sizeof(holder)) == sizeof(holder));
	must(close(ends[0]));
	must(close(ends[1]));
	if (strcmp(answer, "ok"))
		skip("no uprobes by perf events here");
	probed();
	ready();
	wait_for_trigger();
	probed();
	expect("calls", 2, calls);
	kill(holder, SIGKILL);
	while (kill(holder, 0) == 0)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	pass();
}
