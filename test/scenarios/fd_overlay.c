// SPDX-License-Identifier: GPL-2.0-only
// Files of an overlay file system: of the layer below, copied up, new ones; deleted ones of both layers, of which the kernel
// still counts the name below; a folder, a mapping, a watch.
// @options --link-remap
// @skip-mode peer-ours the peer takes the folder above for the one in which it could make a link
#include "inotify.h"
#include <sys/mount.h>

static int make(const char *path, const char *text)
{
	int fd = must(open(path, O_RDWR | O_CREAT, 0600));
	must_be(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static void expect_content(const char *what, int fd, const char *wanted)
{
	char got[64] = "";
	must(pread(fd, got, sizeof(got) - 1, 0));
	expect_text(what, wanted, got);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("layers", 0700));
	must(mount("none", "layers", "tmpfs", 0, NULL));
	must(mkdir("layers/low", 0700));
	must(mkdir("layers/up", 0700));
	must(mkdir("layers/work", 0700));
	must(mkdir("layers/low/folder", 0700));
	must(mkdir("merged", 0700));
	static const char *const low[] = { "below", "changed", "removed" };
	for (int i = 0; i < 3; i++) {
		char path[64];
		snprintf(path, sizeof(path), "layers/low/%s", low[i]);
		must(close(make(path, low[i])));
	}
	if (mount("none", "merged", "overlay", 0, "lowerdir=layers/low,upperdir=layers/up,workdir=layers/work") < 0) {
		must(umount("layers"));
		skip("no overlay file system here, errno %d", errno);
	}
	int below = must(open("merged/below", O_RDONLY)), changed = must(open("merged/changed", O_RDWR));
	must_be(pwrite(changed, "CHANGED", 7, 0) == 7);
	int fresh = make("merged/fresh", "fresh"), gone = make("merged/gone", "gone"), removed = must(open("merged/removed", O_RDONLY));
	must(unlink("merged/gone"));
	must(unlink("merged/removed"));
	int folder = must(open("merged/folder", O_RDONLY | O_DIRECTORY)), fd = must(inotify_init1(IN_NONBLOCK));
	int watch = must(inotify_add_watch(fd, "merged/folder", IN_CREATE));
	char *map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, below, 0), *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fresh, 0);
	must_be(map != MAP_FAILED && shared != MAP_FAILED);
	ready();
	wait_for_trigger();
	expect_content("below", below, "below");
	expect_content("changed", changed, "CHANGED");
	expect_content("fresh", fresh, "fresh");
	expect_content("gone", gone, "gone");
	expect_content("removed", removed, "removed");
	expect("its name", -1, access("merged/removed", F_OK));
	expect("links of the deleted one", -1, access("merged/gone", F_OK));
	expect_bytes("mapping", "below", map, 5);
	must_be(pwrite(fresh, "FRESH", 5, 0) == 5);
	expect_bytes("shared mapping", "FRESH", shared, 5);
	must(close(must(openat(folder, "new", O_CREAT | O_WRONLY, 0600))));
	expect_event(fd, watch, IN_CREATE, "new");
	must(umount2("merged", MNT_DETACH));
	must(umount2("layers", MNT_DETACH));
	pass();
}
