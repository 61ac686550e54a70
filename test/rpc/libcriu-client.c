// SPDX-License-Identifier: GPL-2.0-only
// A client that uses libcriu, the C library of the original: COMMAND IMAGES [PID]. Tells what the library gave on stdout, a line
// for each call; CRIU is the program that it starts.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criu/criu.h>

static int images;
static const char *base;

static int at_hook(char *action, criu_notify_arg_t arg)
{
	int pid = criu_notify_pid(arg);

	printf("%s%s ", action, pid > 0 ? ":pid" : "");
	return 0;
}

static int refuse(char *action, criu_notify_arg_t arg)
{
	(void)arg;
	return strcmp(action, "post-dump") == 0 ? 7 : 0;
}

/* Two pre-dumps, then the dump, each into a directory of its own. */
static int rounds;

static int next_round(criu_predump_info info)
{
	char name[4096], parent[32];

	(void)info;
	rounds++;
	snprintf(name, sizeof(name), "%s/%d", base, rounds);
	snprintf(parent, sizeof(parent), "../%d", rounds - 1);
	images = open(name, O_DIRECTORY | O_RDONLY);
	criu_set_images_dir_fd(images);
	criu_set_parent_images(parent);
	return rounds < 2;
}

static int kill_and_wait(int child)
{
	int status;

	return kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status);
}

static void say(const char *what, int ret)
{
	printf("%s %d\n", what, ret);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *command = argc > 2 ? argv[1] : "";
	char name[4096];
	int pid = argc > 3 ? atoi(argv[3]) : 0;

	base = argc > 2 ? argv[2] : ".";
	images = open(base, O_DIRECTORY | O_RDONLY);
	if (images < 0 || criu_init_opts() != 0) {
		perror("set-up");
		return 2;
	}
	if (getenv("CRIU_SERVICE") != NULL)
		criu_set_service_address(getenv("CRIU_SERVICE"));
	else
		criu_set_service_binary(getenv("CRIU"));
	criu_set_images_dir_fd(images);
	criu_set_log_level(4);
	criu_set_log_file("client.log");
	if (strcmp(command, "ask") == 0) {
		struct criu_feature_check features = { .mem_track = true, .pidfd_store = true };

		say("version", criu_get_version());
		say("new enough", criu_check_version(31500));
		say("too old", criu_check_version(99999));
		say("check", criu_check());
		say("feature check", criu_feature_check(&features, sizeof(features)));
		say("pidfd_store", features.pidfd_store);
		say("mem_track", features.mem_track);
	} else if (strcmp(command, "dump") == 0) {
		criu_set_pid(pid);
		criu_set_leave_running(true);
		criu_set_notify_cb(refuse);
		say("refused", criu_dump());
		criu_set_notify_cb(at_hook);
		criu_set_leave_running(false);
		say("dump", criu_dump());
		say("again", criu_dump());
	} else if (strcmp(command, "restore") == 0) {
		int restored;

		criu_set_notify_cb(at_hook);
		restored = criu_restore_child();
		say("restore", restored > 0);
		say("child", restored > 0 && kill_and_wait(restored));
	} else if (strcmp(command, "iterate") == 0) {
		snprintf(name, sizeof(name), "%s/0", base);
		images = open(name, O_DIRECTORY | O_RDONLY);
		criu_set_images_dir_fd(images);
		criu_set_pid(pid);
		criu_set_track_mem(true);
		say("iterate", criu_dump_iters(next_round));
	} else if (strcmp(command, "self") == 0) {
		int ret;

		setsid();
		ret = criu_dump();
		/* This is said by the restored one: the library has read that it is. */
		say("self", ret);
	} else {
		return 2;
	}
	return 0;
}
