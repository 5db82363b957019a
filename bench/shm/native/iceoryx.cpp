/* SPDX-License-Identifier: Apache-2.0
 *
 * iceoryx left|right NAME NUMBER SLEEPS READERS: publishers and subscribers,
 * one topic from the left, one from each right, whose number is NUMBER. Nothing
 * is dropped: the publisher waits. SLEEPS is 1 for a WaitSet, 0 for polling. */
#include "party.h"
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace iox;
using iox::capro::IdString_t;

static capro::ServiceDescription topic(const std::string &name, const std::string &from)
{
	return {IdString_t("Bench"), IdString_t(cxx::TruncateToCapacity, name), IdString_t(cxx::TruncateToCapacity, from)};
}

struct Side {
	bool right, sleeps, crowded, met = false; /* crowded: more processes than processors, perhaps */
	std::unique_ptr<popo::UntypedPublisher> publisher;
	std::vector<std::unique_ptr<popo::UntypedSubscriber>> subscribers;
	popo::WaitSet<> waiting;
	std::vector<char> buffer = std::vector<char>(1 << 20);

	/* A copy of size bytes, or only the first of them written in place. */
	void post(long size, bool copy)
	{
		for (bool done = false; !done;) {
			publisher->loan(size)
			    .and_then([&](void *p) {
				    memcpy(p, buffer.data(), copy ? size : 1);
				    publisher->publish(p);
				    done = true;
			    })
			    .or_else([](auto &) { std::this_thread::yield(); });
		}
	}

	void take(popo::UntypedSubscriber &from, long size, bool copy)
	{
		for (bool done = false; !done;) {
			from.take().and_then([&](const void *p) {
				memcpy(buffer.data(), p, copy ? size : 1);
				from.release(p);
				done = true;
			});
			if (done)
				continue;
			if (sleeps)
				waiting.wait();
			else if (crowded)
				std::this_thread::yield();
		}
	}

	/* Nobody measures before everybody has found everybody. */
	void meet()
	{
		if (met)
			return;
		met = true;
		for (auto &s : subscribers)
			while (s->getSubscriptionState() != SubscribeState::SUBSCRIBED)
				std::this_thread::yield();
		while (!publisher->hasSubscribers())
			std::this_thread::yield();
		if (right)
			post(1, true);
		else
			for (auto &s : subscribers)
				take(*s, 1, true);
	}
};

template <bool copy> static void trip(void *arg, long size)
{
	auto *s = static_cast<Side *>(arg);
	s->post(size, copy);
	s->take(*s->subscribers[0], size, copy);
}

static void run(const command *c, void *arg)
{
	auto *s = static_cast<Side *>(arg);
	s->meet();
	std::string op = c->op;
	bool copy = op != "loan";
	if (op == "trip" || op == "loan") {
		if (!s->right)
			party_trips(c, copy ? trip<true> : trip<false>, s);
		else
			for (long i = 0; i < c->count; i++) {
				s->take(*s->subscribers[0], c->size, copy);
				s->post(c->size, copy);
			}
		return;
	}
	double start = party_now();
	for (long i = 0; i < c->count; i++) {
		if (s->right)
			s->take(*s->subscribers[0], c->size, true);
		else
			s->post(c->size, true);
	}
	if (s->right) {
		s->post(1, true);
	} else {
		for (auto &from : s->subscribers)
			s->take(*from, 1, true);
		party_ns = (party_now() - start) / c->count;
	}
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	std::string side = argv[1], name = argv[2], number = argv[3];
	log::LogManager::GetLogManager().SetDefaultLogLevel(log::LogLevel::kError, log::LogLevelOutput::kHideLogLevel);
	std::string process = name + side + number;
	runtime::PoshRuntime::initRuntime(RuntimeName_t(cxx::TruncateToCapacity, process)); /* before any of Side */
	Side s;
	s.right = side == "right";
	s.sleeps = !strcmp(argv[4], "1");
	s.crowded = atoi(argv[5]) > 1;
	popo::PublisherOptions out;
	out.subscriberTooSlowPolicy = popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
	s.publisher = std::make_unique<popo::UntypedPublisher>(topic(name, s.right ? number : "left"), out);
	popo::SubscriberOptions in;
	in.queueCapacity = 64;
	in.queueFullPolicy = popo::QueueFullPolicy::BLOCK_PRODUCER;
	for (int i = 0; i < (s.right ? 1 : atoi(argv[5])); i++) {
		s.subscribers.push_back(std::make_unique<popo::UntypedSubscriber>(topic(name, s.right ? "left" : std::to_string(i)), in));
		s.waiting.attachState(*s.subscribers.back(), popo::SubscriberState::HAS_DATA).or_else([](auto) { party_die("attachState"); });
	}
	party_serve(run, &s);
	return 0;
}
