// Keys, origins, rates and turns.
#include "serve/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "serve/http_error.h"

namespace nla::serve {
namespace {

struct Link : ClientLink {
  bool Gone() const override { return gone; }
  std::atomic<bool> gone = false;
};

HttpRequest Head(const std::string& name, const std::string& value) {
  HttpRequest head;
  head.headers["Host"] = "localhost:30000";
  if (!name.empty()) head.headers[name] = value;
  return head;
}

TEST(Admission, WantsItsKey) {
  const Admission guarded({.api_key = "secret"});
  EXPECT_FALSE(guarded.CheckCaller(Head("Authorization", "Bearer secret")));
  EXPECT_FALSE(guarded.CheckCaller(Head("authorization", "Bearer secret")));
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Basic secret", "secret"}) {
    const auto refusal = guarded.CheckCaller(Head("Authorization", wrong));
    ASSERT_TRUE(refusal) << wrong;
    EXPECT_EQ(refusal->status, 401);
    EXPECT_EQ(refusal->body.find("secret"), std::string::npos);
  }
  EXPECT_TRUE(guarded.CheckCaller(Head("", "")));
  EXPECT_FALSE(Admission({}).CheckCaller(Head("", "")));
}

TEST(Admission, PagesOfOtherSitesAreTurnedAway) {
  const Admission open({});
  EXPECT_FALSE(open.CheckCaller(Head("Origin", "http://localhost:30000")));
  for (const char* origin : {"http://evil.example", "null", "http://localhost:3000"}) {
    EXPECT_EQ(open.CheckCaller(Head("Origin", origin))->status, 403) << origin;
  }
}

TEST(Admission, CountsRequestsOfAMinute) {
  Admission admission({.requests_per_minute = 3});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(admission.CheckRate("a"));
  const auto refusal = admission.CheckRate("a");
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 429);
  EXPECT_EQ(refusal->headers[0], (std::pair<std::string, std::string>("Retry-After", "20")));
  EXPECT_FALSE(admission.CheckRate("b"));
  Admission free({});
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(free.CheckRate("a"));
}

TEST(Admission, GivesTurnsInBoundedNumber) {
  Admission admission({.max_concurrent = 1, .max_waiting = 1});
  Link link;
  RequestState first, second, third;
  EXPECT_FALSE(admission.Enter(first, link));
  std::thread waits([&] { EXPECT_FALSE(admission.Enter(second, link)); });
  while (admission.waiting() == 0) std::this_thread::yield();
  EXPECT_EQ(admission.Enter(third, link)->status, 429);
  first.permit.reset();
  waits.join();
  EXPECT_EQ(admission.working(), 1);
  EXPECT_EQ(admission.waiting(), 0);
  link.gone = true;
  EXPECT_THROW(admission.Enter(third, link), ClientGone);
  EXPECT_EQ(admission.waiting(), 0);
  second.permit.reset();
  EXPECT_EQ(admission.working(), 0);
}

}  // namespace
}  // namespace nla::serve
