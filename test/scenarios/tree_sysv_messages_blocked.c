// SPDX-License-Identifier: GPL-2.0-only
// A child blocked in msgrcv on a System V message queue goes on to wait, and gets the message that's sent after the restore.
#include "tree.h"
#include <sys/msg.h>

struct message { long type; char text[16]; };
static int id;

static void run(void *arg)
{
	(void)arg;
	struct message message = { 0 };
	ssize_t n;
	arrive();
	while ((n = msgrcv(id, &message, sizeof(message.text), 7, 0)) < 0)
		must_be(errno == EINTR);
	expect("size", 6, n);
	expect_text("text", "seven", message.text);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	id = must(msgget(IPC_PRIVATE, 0600));
	pid_t child = start_child(run, NULL);
	await_asleep(child);
	ready();
	wait_for_trigger();
	must(msgsnd(id, &(struct message){ 8, "eight" }, 6, 0));
	usleep(20000);
	expect("child that still waits", 0, waitpid(child, NULL, WNOHANG));
	must(msgsnd(id, &(struct message){ 7, "seven" }, 6, 0));
	expect_exit(child, 0);
	must(msgctl(id, IPC_RMID, NULL));
	pass();
}
