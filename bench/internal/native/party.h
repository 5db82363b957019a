/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of bench/internal/party, for peers in C and C++. */
#ifndef PARTY_H
#define PARTY_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct command {
	char op[16];
	long size, count, pause;
};

static double party_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double party_cpu(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e9 + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e3;
}

static void party_die(const char *what)
{
	perror(what);
	exit(1);
}

static int party_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* What a side measured; -1 where it did not. */
static double party_ns = -1, party_p50 = -1;
/* More figures, as " name=value". */
static char party_more[256];

/* Trips times the command's round trips like Go's party.Trips. */
static void party_trips(const struct command *c, void (*trip)(void *, long), void *arg)
{
	long each = c->pause > 0 || c->count < 80 ? 1 : 8;
	long n = 0;
	double *samples = (double *)malloc(sizeof(double) * (c->count / each + 1)), total = 0;
	for (long left = c->count; left > 0;) {
		if (c->pause > 0) {
			struct timespec t = {c->pause / 1000000000, c->pause % 1000000000};
			nanosleep(&t, NULL);
		}
		long k = left < each ? left : each;
		double start = party_now();
		for (long i = 0; i < k; i++)
			trip(arg, c->size);
		double took = party_now() - start;
		total += took;
		samples[n++] = took / k;
		left -= k;
	}
	qsort(samples, n, sizeof(double), party_compare);
	party_ns = total / c->count;
	party_p50 = samples[n / 2];
	free(samples);
}

/* Serve takes commands from stdin until it ends. */
static void party_serve(void (*run)(const struct command *, void *), void *arg)
{
	char line[256];
	puts("up");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		struct command c;
		if (sscanf(line, "%15s %ld %ld %ld", c.op, &c.size, &c.count, &c.pause) != 4) {
			fprintf(stderr, "command? %s", line);
			exit(1);
		}
		puts("ready");
		fflush(stdout);
		double before = party_cpu();
		party_ns = party_p50 = -1;
		party_more[0] = 0;
		run(&c, arg);
		printf("done cpu=%.9g", party_cpu() - before);
		if (party_ns >= 0)
			printf(" ns=%.9g", party_ns);
		if (party_p50 >= 0)
			printf(" p50=%.9g", party_p50);
		puts(party_more);
		fflush(stdout);
	}
}
#endif
