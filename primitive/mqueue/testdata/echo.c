// SPDX-License-Identifier: Apache-2.0
// Echoes each message of the first queue into the second, one priority higher, until an empty one.
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>

int main(int argc, char **argv) {
	mqd_t in = mq_open(argv[1], O_RDONLY), out = mq_open(argv[2], O_WRONLY);
	struct mq_attr a;
	if (argc != 3 || in == (mqd_t)-1 || out == (mqd_t)-1 || mq_getattr(in, &a)) {
		perror("mq_open");
		return 1;
	}
	printf("maxmsg %ld msgsize %ld\n", a.mq_maxmsg, a.mq_msgsize);
	for (;;) {
		char buf[64];
		unsigned priority;
		ssize_t n = mq_receive(in, buf, sizeof buf, &priority);
		if (n <= 0)
			return n < 0;
		if (mq_send(out, buf, n, priority + 1)) {
			perror("mq_send");
			return 1;
		}
	}
}
