// SPDX-License-Identifier: GPL-2.0-only
// Prints who shares what in the tree below the process ROOT, as told by kcmp(2): one line `PID TID KIND N` for each thread
// and each of files, fs, vm, sighand, and one `PID fd FD N` for each descriptor. Equal numbers mean one object.
#define _GNU_SOURCE
#include <dirent.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct item { pid_t pid, tid; int fd; int group; };
static struct item *items;
static size_t count, room;
static int kind;
// Something that was compared is gone by now: the order can't be trusted.
static int lost;

static void add(pid_t pid, pid_t tid, int fd)
{
	if (count == room)
		items = realloc(items, (room = room * 2 + 64) * sizeof(*items));
	if (!items)
		exit(3);
	items[count++] = (struct item){ pid, tid, fd, 0 };
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

// Numbers in a folder of /proc, ascending; the array is the caller's to free.
static int *list_numbers(const char *path, size_t *n)
{
	int *list = NULL;
	*n = 0;
	DIR *dir = opendir(path);
	if (!dir)
		return NULL;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		list = realloc(list, (*n + 1) * sizeof(*list));
		if (!list)
			exit(3);
		list[(*n)++] = atoi(entry->d_name);
	}
	closedir(dir);
	qsort(list, *n, sizeof(*list), by_number);
	return list;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	if (file)
		fclose(file);
	text[n] = 0;
	char *close = strrchr(text, ')');
	return close ? atoi(close + 4) : 0;
}

static int is_below(pid_t pid, pid_t root)
{
	while (pid > 1 && pid != root)
		pid = parent_of(pid);
	return pid == root;
}

// Order of two items by the kernel's (scrambled) addresses; items that can't be compared count as equal.
static int by_object(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	long order = syscall(SYS_kcmp, x->tid, y->tid, kind, (unsigned long)x->fd, (unsigned long)y->fd);
	if (order < 0)
		lost = 1;
	return order == 1 ? -1 : order == 2 ? 1 : 0;
}

static int by_place(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	return x->pid != y->pid ? x->pid - y->pid : x->tid != y->tid ? x->tid - y->tid : x->fd - y->fd;
}

// Drops what can't even be compared with itself: ended processes, closed descriptors. Says whether there was any.
static int drop_gone(void)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		const struct item *x = items + i;
		if (syscall(SYS_kcmp, x->tid, x->tid, kind, (unsigned long)x->fd, (unsigned long)x->fd) == 0)
			items[kept++] = *x;
	}
	int dropped = kept < count;
	count = kept;
	return dropped;
}

static void print_groups(const char *name)
{
	do {
		lost = 0;
		qsort(items, count, sizeof(*items), by_object);
		for (size_t i = 0, group = 0; i < count; i++) {
			if (i > 0 && by_object(items + i - 1, items + i) != 0)
				group++;
			items[i].group = group;
		}
	} while (lost && drop_gone());
	qsort(items, count, sizeof(*items), by_place);
	int *shown = calloc(count + 1, sizeof(*shown)), last = 0;
	if (!shown)
		exit(3);
	for (size_t i = 0; i < count; i++) {
		if (!shown[items[i].group])
			shown[items[i].group] = ++last;
		if (kind == KCMP_FILE)
			printf("%d fd %d %d\n", items[i].pid, items[i].fd, shown[items[i].group]);
		else
			printf("%d %d %s %d\n", items[i].pid, items[i].tid, name, shown[items[i].group]);
	}
	free(shown);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	size_t processes, threads, fds;
	int *pids = list_numbers("/proc", &processes);
	char path[64];
	for (size_t i = 0; i < processes; i++) {
		if (!is_below(pids[i], atoi(argv[1])))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task", pids[i]);
		int *tids = list_numbers(path, &threads);
		for (size_t k = 0; k < threads; k++)
			add(pids[i], tids[k], 0);
		free(tids);
	}
	static const struct { int kind; const char *name; } kinds[] = {
		{ KCMP_FILES, "files" }, { KCMP_FS, "fs" }, { KCMP_VM, "vm" }, { KCMP_SIGHAND, "sighand" },
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		kind = kinds[i].kind;
		print_groups(kinds[i].name);
	}
	count = 0;
	for (size_t i = 0; i < processes; i++) {
		if (!is_below(pids[i], atoi(argv[1])))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd", pids[i]);
		int *list = list_numbers(path, &fds);
		for (size_t k = 0; k < fds; k++)
			add(pids[i], pids[i], list[k]);
		free(list);
	}
	kind = KCMP_FILE;
	print_groups("file");
	free(pids);
	return 0;
}
