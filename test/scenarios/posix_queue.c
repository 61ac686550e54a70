// SPDX-License-Identifier: GPL-2.0-only
// POSIX message queues: messages by their priorities, attributes, two descriptions of one queue with their flags, one that a
// child shares, a thread that waits for a message.
// @cflags -pthread -lrt
// @skip-peer the original knows no message queues
#include "threads.h"
#include <mqueue.h>
#include <sys/wait.h>

static char names[2][64];
static mqd_t awaited;

static void *run(void *arg)
{
	char text[100];
	arrive();
	expect("length of the awaited message", 4, mq_receive(awaited, text, sizeof(text), NULL));
	return arg;
}

static void send_text(mqd_t queue, const char *text, unsigned priority)
{
	must(mq_send(queue, text, strlen(text), priority));
}

static void expect_message(mqd_t queue, const char *wanted, unsigned wanted_priority)
{
	char text[100];
	unsigned priority;
	expect("length of a message", (long)strlen(wanted), mq_receive(queue, text, sizeof(text), &priority));
	expect_bytes("message", wanted, text, strlen(wanted));
	expect("priority", wanted_priority, priority);
}

static void expect_flags(mqd_t queue, long flags, long messages)
{
	struct mq_attr attr;
	must(mq_getattr(queue, &attr));
	expect("flags", flags, attr.mq_flags);
	expect("messages", messages, attr.mq_curmsgs);
	expect("room", 5, attr.mq_maxmsg);
	expect("length of messages", 100, attr.mq_msgsize);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct mq_attr attr = { .mq_maxmsg = 5, .mq_msgsize = 100 };
	for (int i = 0; i < 2; i++)
		snprintf(names[i], sizeof(names[i]), "/criu-test-%d-%ld-%d", getpid(), (long)time(NULL), i);
	mqd_t queue = mq_open(names[0], O_CREAT | O_EXCL | O_RDWR, 0640, &attr);
	if (queue < 0)
		skip("mq_open: %s", strerror(errno));
	mqd_t sender = must(mq_open(names[0], O_WRONLY | O_NONBLOCK));
	awaited = must(mq_open(names[1], O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, &attr));
	send_text(sender, "low", 1);
	send_text(sender, "high", 9);
	send_text(sender, "high too", 9);
	pthread_t thread = start_thread(run, NULL);
	wait_for_value(&arrived_count, 1);
	ready();
	wait_for_trigger();
	expect_flags(sender, O_NONBLOCK, 3);
	expect_flags(queue, 0, 3);
	must(mq_unlink(names[0]));
	must(mq_unlink(names[1]));
	expect("receiving from a queue that's for sending", -1, mq_receive(sender, (char[100]){ 0 }, 100, NULL));
	for (int i = 0; i < 2; i++)
		send_text(sender, "more", 0);
	expect("sending to a full queue", -1, mq_send(sender, "x", 1, 0));
	expect("errno", EAGAIN, errno);
	expect_message(queue, "high", 9);
	expect_message(queue, "high too", 9);
	expect_message(queue, "low", 1);
	send_text(awaited, "come", 3);
	join_thread(thread);
	struct stat st;
	must(fstat(queue, &st));
	expect("mode", 0640, st.st_mode & 0777);
	pass();
}
