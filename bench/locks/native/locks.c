/* SPDX-License-Identifier: Apache-2.0
 *
 * locks robust|semaphore|flock left|right FILE LOCKFILE INDEX PROCESSES
 *
 * alone:     the left locks and unlocks, nobody else does.
 * contended: both do, until the counter that is protected says enough.
 * wake:      the right holds it, the left sleeps for it: how long after the
 *            right's unlock it has it.
 * fair:      all lock for a while: how often and how long each, as bench/locks/fair.go. */
#include "party.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

/* The words of a run, as Go's side lays them out, too; then the lock. */
struct shared {
	_Alignas(64) uint64_t counter; /* protected by the lock */
	_Alignas(64) _Atomic uint64_t target, round;
	_Alignas(64) _Atomic uint64_t phase, stamp;
	_Alignas(64) uint64_t owner, run, longest; /* protected by the lock */
	_Alignas(64) _Atomic uint64_t ended;
	struct {
		_Alignas(64) _Atomic uint64_t turns, p99, longest;
	} parts[8];
	_Alignas(64) union {
		pthread_mutex_t mutex;
		sem_t semaphore;
	} lock;
};

struct side {
	struct shared *m;
	int right, fd, index, processes;
	char kind;
	uint64_t round, wakes, fairs;
};

static void lock(struct side *s)
{
	int failed = 0;
	switch (s->kind) {
	case 'r': failed = pthread_mutex_lock(&s->m->lock.mutex); break;
	case 's':
		while ((failed = sem_wait(&s->m->lock.semaphore)) && errno == EINTR)
			;
		break;
	default: failed = flock(s->fd, LOCK_EX);
	}
	if (failed)
		party_die("lock");
}

static void unlock(struct side *s)
{
	int failed = 0;
	switch (s->kind) {
	case 'r': failed = pthread_mutex_unlock(&s->m->lock.mutex); break;
	case 's': failed = sem_post(&s->m->lock.semaphore); break;
	default: failed = flock(s->fd, LOCK_UN);
	}
	if (failed)
		party_die("unlock");
}

static void contend(struct side *s, long count)
{
	s->round++;
	if (!s->right) {
		atomic_store(&s->m->target, s->m->counter + count);
		atomic_store(&s->m->round, s->round);
	}
	while (atomic_load(&s->m->round) != s->round)
		sched_yield();
	uint64_t target = atomic_load(&s->m->target);
	for (int done = 0; !done;) {
		lock(s);
		if (!(done = s->m->counter >= target))
			s->m->counter++;
		unlock(s);
	}
}

static void wake(struct side *s, long count)
{
	double *took = malloc(sizeof(double) * count);
	for (long i = 0; i < count; i++) {
		uint64_t held = 2 * s->wakes + 1;
		s->wakes++;
		if (s->right) {
			lock(s);
			atomic_store(&s->m->phase, held);
			struct timespec t = {0, 500000};
			nanosleep(&t, NULL);
			atomic_store(&s->m->stamp, (uint64_t)party_now());
			unlock(s);
			while (atomic_load(&s->m->phase) != held + 1)
				sched_yield();
		} else {
			while (atomic_load(&s->m->phase) != held)
				sched_yield();
			lock(s);
			took[i] = party_now() - atomic_load(&s->m->stamp);
			unlock(s);
			atomic_store(&s->m->phase, held + 1);
		}
	}
	if (!s->right) {
		qsort(took, count, sizeof(double), party_compare);
		party_ns = party_p50 = took[count / 2];
	}
	free(took);
}

/* Waits in steps of an eighth. */
static uint64_t steps[64 * 8];

static void fair(struct side *s, double length)
{
	struct shared *m = s->m;
	uint64_t turns = 0, worst = 0, p99 = 0, seen = 0;
	memset(steps, 0, sizeof steps);
	s->round++;
	s->fairs++;
	if (!s->right) {
		m->owner = m->longest = 0;
		atomic_store(&m->round, s->round);
	}
	while (atomic_load(&m->round) != s->round)
		sched_yield();
	for (double end = party_now() + length;; turns++) {
		double before = party_now();
		if (before >= end)
			break;
		lock(s);
		uint64_t ns = (uint64_t)(party_now() - before);
		if (m->owner == (uint64_t)s->index + 1) {
			m->run++;
		} else {
			m->owner = s->index + 1;
			m->run = 1;
		}
		if (m->run > m->longest)
			m->longest = m->run;
		unlock(s);
		ns = ns < 8 ? 8 : ns;
		worst = ns > worst ? ns : worst;
		int top = 63 - __builtin_clzll(ns);
		steps[top * 8 + (ns >> (top - 3) & 7)]++;
	}
	for (int i = 0; i < 64 * 8 && !p99; i++)
		if ((seen += steps[i]) * 100 >= turns * 99 && seen > 0)
			p99 = (uint64_t)(8 + i % 8) << (i / 8) >> 3;
	atomic_store(&m->parts[s->index].turns, turns);
	atomic_store(&m->parts[s->index].p99, p99);
	atomic_store(&m->parts[s->index].longest, worst);
	atomic_fetch_add(&m->ended, 1);
	if (s->right)
		return;
	while (atomic_load(&m->ended) != s->fairs * s->processes)
		sched_yield();
	uint64_t sum = 0, least = UINT64_MAX, most = 0;
	for (int i = 0; i < s->processes; i++) {
		uint64_t t = atomic_load(&m->parts[i].turns), p = atomic_load(&m->parts[i].p99), w = atomic_load(&m->parts[i].longest);
		sum += t;
		least = t < least ? t : least;
		most = t > most ? t : most;
		p99 = p > p99 ? p : p99;
		worst = w > worst ? w : worst;
	}
	party_ns = length / sum;
	snprintf(party_more, sizeof party_more, " least=%.9g most=%.9g run=%.9g wait99=%.9g longest=%.9g", (double)least / sum,
		 (double)most / sum, (double)m->longest, (double)p99, (double)worst);
}

static void run(const struct command *c, void *arg)
{
	struct side *s = arg;
	double start = party_now();
	if (!strcmp(c->op, "wake")) {
		wake(s, c->count);
		return;
	}
	if (!strncmp(c->op, "fair", 4)) {
		fair(s, c->pause);
		return;
	}
	if (!strcmp(c->op, "contended"))
		contend(s, c->count);
	else if (!s->right)
		for (long i = 0; i < c->count; i++) {
			lock(s);
			s->m->counter++;
			unlock(s);
		}
	if (!s->right)
		party_ns = (party_now() - start) / c->count;
}

int main(int argc, char **argv)
{
	if (argc != 7 || atoi(argv[6]) > 8)
		return 2;
	struct side s = {.right = !strcmp(argv[2], "right"), .kind = argv[1][0], .index = atoi(argv[5]), .processes = atoi(argv[6])};
	int fd = open(argv[3], O_RDWR | O_CREAT, 0600);
	s.fd = open(argv[4], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || s.fd < 0 || ftruncate(fd, sizeof(struct shared)))
		party_die(argv[3]);
	s.m = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (s.m == MAP_FAILED)
		party_die("mmap");
	if (s.index == 0 && s.kind == 'r') {
		pthread_mutexattr_t a;
		pthread_mutexattr_init(&a);
		pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
		pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
		pthread_mutex_init(&s.m->lock.mutex, &a);
	}
	if (s.index == 0 && s.kind == 's')
		sem_init(&s.m->lock.semaphore, 1, 1);
	party_serve(run, &s);
	return 0;
}
