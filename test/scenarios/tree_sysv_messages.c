// SPDX-License-Identifier: GPL-2.0-only
// A System V message queue of the host's IPC namespace, shared by parent and child, with two unread messages in it.
#include "tree.h"
#include <sys/msg.h>

struct message { long type; char text[64]; };
static int id;

static void put(long type, const char *text)
{
	struct message message = { .type = type };
	strcpy(message.text, text);
	must(msgsnd(id, &message, strlen(text) + 1, IPC_NOWAIT));
}

static void take(long type, const char *wanted)
{
	struct message message = { 0 };
	expect("size", strlen(wanted) + 1, msgrcv(id, &message, sizeof(message.text), type, IPC_NOWAIT));
	expect("type", type, message.type);
	expect_text("text", wanted, message.text);
}

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	take(1, "from the root.");
	put(26538, "an answer of the child");
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	id = must(msgget(ftok("/", 42), IPC_CREAT | IPC_EXCL | 0666));
	put(26538, "another message, for itself");
	put(1, "from the root.");
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	take(26538, "another message, for itself");
	take(26538, "an answer of the child");
	expect("id by the key", id, msgget(ftok("/", 42), 0));
	must(msgctl(id, IPC_RMID, NULL));
	pass();
}
