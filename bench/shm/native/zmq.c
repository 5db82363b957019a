/* SPDX-License-Identifier: Apache-2.0
 *
 * zmq left|right ADDRESS: a pair of libzmq's PAIR sockets, nothing dropped. */
#include "party.h"
#include <zmq.h>

enum { LARGEST = 1 << 20 };

struct side {
	void *socket;
	int right;
	char *buffer;
};

static void post(struct side *s, long size)
{
	if (zmq_send(s->socket, s->buffer, size, 0) != size)
		party_die("zmq_send");
}

static void take(struct side *s)
{
	if (zmq_recv(s->socket, s->buffer, LARGEST, 0) < 0)
		party_die("zmq_recv");
}

static void trip(void *arg, long size)
{
	post(arg, size);
	take(arg);
}

static void run(const struct command *c, void *arg)
{
	struct side *s = arg;
	if (!strcmp(c->op, "trip")) {
		if (!s->right)
			party_trips(c, trip, s);
		else
			for (long i = 0; i < c->count; i++) {
				take(s);
				post(s, c->size);
			}
		return;
	}
	double start = party_now();
	for (long i = 0; i < c->count; i++) {
		if (s->right)
			take(s);
		else
			post(s, c->size);
	}
	if (s->right) {
		post(s, 1);
	} else {
		take(s);
		party_ns = (party_now() - start) / c->count;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct side s = {.right = !strcmp(argv[1], "right"), .buffer = calloc(1, LARGEST)};
	s.socket = zmq_socket(zmq_ctx_new(), ZMQ_PAIR);
	if (s.right ? zmq_bind(s.socket, argv[2]) : zmq_connect(s.socket, argv[2]))
		party_die(argv[2]);
	party_serve(run, &s);
	return 0;
}
