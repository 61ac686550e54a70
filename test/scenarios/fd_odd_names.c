// SPDX-License-Identifier: GPL-2.0-only
// Files whose names hold newline, quote, backslash, percent, bytes that are no UTF-8, and " (deleted)".
// @skip-decode crit cannot show text that is no UTF-8
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const char *names[] = { "new\nline", "back\\slash\\012", "\"quoted\" 'name'", "per%cent %s", "\xff\xfe\x80 bytes", "\xc3\xa4 umlaut",
				"looks (deleted)", " leading and trailing ", "tab\there", "\001\177" };
	int fds[10];
	for (int i = 0; i < 10; i++) {
		fds[i] = must(open(names[i], O_RDWR | O_CREAT | O_EXCL, 0600));
		must_be(write(fds[i], names[i], strlen(names[i])) == (long)strlen(names[i]));
	}
	must(unlink(names[4]));
	must(mkdir("dir\xe4\n", 0700));
	must(chdir("dir\xe4\n"));
	char *map = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fds[0], 0));
	ready();
	wait_for_trigger();
	for (int i = 0; i < 10; i++) {
		char text[64] = { 0 }, path[80];
		must_be(pread(fds[i], text, 63, 0) == (long)strlen(names[i]));
		expect_text("content", names[i], text);
		snprintf(path, sizeof(path), "../%s", names[i]);
		expect("name exists", i == 4 ? -1 : 0, access(path, F_OK));
	}
	must_be(!memcmp(map, names[0], strlen(names[0])));
	pass();
}
