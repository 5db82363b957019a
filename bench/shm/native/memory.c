/* SPDX-License-Identifier: Apache-2.0
 *
 * What C does with shared memory and no promises at all: the limits.
 *
 * memory slot|futex|ring left|right FILE
 *
 * slot:  one message each way, copied in and out, both sides spinning.
 * futex: the same, both sides sleeping in the kernel for each message.
 * ring:  bytes one way, the tail published for each 4 KiB. */
#include "party.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LARGEST = 1 << 20, RING = 4 << 20, PUBLISH = 4 << 10, LINE = 64 };

struct slot {
	_Alignas(LINE) _Atomic uint32_t sequence;
	_Alignas(LINE) char bytes[LARGEST];
};

struct shared {
	struct slot slot[2]; /* [side]: what that side writes */
	_Alignas(LINE) _Atomic uint64_t tail; /* bytes published */
	_Alignas(LINE) _Atomic uint64_t head; /* bytes read */
};

struct side {
	struct shared *m;
	char *ring; /* mapped twice in a row */
	int me, sleeps;
	uint32_t sent, received;
	char *buffer;
	uint64_t tail, published, head, freed;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void post(struct side *s, long size)
{
	struct slot *slot = &s->m->slot[s->me];
	memcpy(slot->bytes, s->buffer, size);
	atomic_store_explicit(&slot->sequence, ++s->sent, memory_order_release);
	if (s->sleeps)
		syscall(SYS_futex, &slot->sequence, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void take(struct side *s, long size)
{
	struct slot *slot = &s->m->slot[!s->me];
	uint32_t last = s->received++;
	while (atomic_load_explicit(&slot->sequence, memory_order_acquire) == last) {
		if (s->sleeps)
			syscall(SYS_futex, &slot->sequence, FUTEX_WAIT, last, NULL, NULL, 0);
		else
			relax();
	}
	memcpy(s->buffer, slot->bytes, size);
}

static void trip(void *arg, long size)
{
	post(arg, size);
	take(arg, size);
}

static void publish(struct side *s)
{
	atomic_store_explicit(&s->m->tail, s->tail, memory_order_release);
	s->published = s->tail;
}

/* A frame is a length and its bytes, padded to eight. */
static uint64_t padded(long size) { return (size + 4 + 7) & ~7ull; }

static void put(struct side *s, long size)
{
	uint64_t need = padded(size);
	while (s->tail + need - s->head > RING) {
		s->head = atomic_load_explicit(&s->m->head, memory_order_acquire);
		if (s->tail + need - s->head > RING) {
			if (s->published != s->tail)
				publish(s);
			relax();
		}
	}
	char *at = s->ring + s->tail % RING;
	*(uint32_t *)at = size;
	memcpy(at + 4, s->buffer, size);
	s->tail += need;
	if (s->tail - s->published >= PUBLISH)
		publish(s);
}

static void get(struct side *s)
{
	while (s->tail == s->head) {
		s->tail = atomic_load_explicit(&s->m->tail, memory_order_acquire);
		if (s->tail == s->head) {
			if (s->freed != s->head)
				atomic_store_explicit(&s->m->head, s->freed = s->head, memory_order_release);
			relax();
		}
	}
	char *at = s->ring + s->head % RING;
	uint32_t size = *(uint32_t *)at;
	memcpy(s->buffer, at + 4, size);
	s->head += padded(size);
	if (s->head - s->freed >= PUBLISH)
		atomic_store_explicit(&s->m->head, s->freed = s->head, memory_order_release);
}

static void run(const struct command *c, void *arg)
{
	struct side *s = arg;
	if (!strcmp(c->op, "trip")) {
		if (s->me == 0)
			party_trips(c, trip, s);
		else
			for (long i = 0; i < c->count; i++) {
				take(s, c->size);
				post(s, c->size);
			}
		return;
	}
	double start = party_now();
	if (s->me == 0) {
		for (long i = 0; i < c->count; i++)
			put(s, c->size);
		publish(s);
		take(s, 1);
		party_ns = (party_now() - start) / c->count;
	} else {
		for (long i = 0; i < c->count; i++)
			get(s);
		post(s, 1);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	struct side s = {.me = !strcmp(argv[2], "right"), .sleeps = !strcmp(argv[1], "futex")};
	long page = sysconf(_SC_PAGESIZE), head = (sizeof(struct shared) + page - 1) / page * page;
	int fd = open(argv[3], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, head + RING))
		party_die(argv[3]);
	char *m = mmap(NULL, head + 2 * RING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (m == MAP_FAILED || mmap(m + head + RING, RING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, head) == MAP_FAILED)
		party_die("mmap");
	s.m = (struct shared *)m;
	s.ring = m + head;
	s.buffer = calloc(1, LARGEST);
	party_serve(run, &s);
	return 0;
}
