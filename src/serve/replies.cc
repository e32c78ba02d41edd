// Following replies.
#include "serve/replies.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "serve/http_error.h"

namespace nla::serve {

Replies::Replies(const ReplyServices& services, ReplyPlan plan)
    : services_(services),
      plan_(std::move(plan)),
      mailbox_(std::make_shared<Mailbox>()),
      replies_(plan_.count),
      asked_(Clock::now()),
      open_(plan_.count),
      stopped_(plan_.count) {
  TakeNames();
  services_.metrics.CountBatch(static_cast<int64_t>(plan_.count));
  services_.record.count += static_cast<int64_t>(plan_.count);
  try {
    SubmitMore();
  } catch (...) {
    DropNames(plan_.rids.size());
    Abort(0, plan_.count, "another prompt of the request was refused");
    throw;
  }
}

Replies::~Replies() {
  DropNames(plan_.rids.size());
  for (size_t i = 0; i < ids_.size() && open_ > 0; ++i) {
    if (!replies_[i].finish) services_.engine.Abort(ids_[i], "nobody waits for the reply");
  }
}

// Before the first is submitted: an abort that comes early finds them.
void Replies::TakeNames() {
  for (size_t k = 0; k < plan_.rids.size(); ++k) {
    const size_t each = plan_.count / plan_.rids.size();
    try {
      services_.active.Add(plan_.rids[k], *this, k * each, each);
    } catch (...) {
      DropNames(k);
      throw;
    }
  }
}

void Replies::DropNames(size_t count) {
  for (size_t k = 0; k < count; ++k) services_.active.Remove(plan_.rids[k]);
}

void Replies::SubmitMore() {
  const size_t ended = replies_.size() - open_;
  while (begun_.size() < replies_.size() && begun_.size() - ended < plan_.ahead) {
    const size_t i = begun_.size();
    EngineRequest request = plan_.make(i);
    const std::lock_guard lock(mutex_);
    begun_.push_back(Clock::now());
    if (!services_.record.submitted) services_.record.submitted = begun_.back();
    const auto sink = [box = mailbox_, i](RequestId /*id*/, EngineEvent event) {
      const std::lock_guard box_lock(box->mutex);
      box->events.emplace_back(i, std::move(event));
      box->news.notify_one();
    };
    if (!stopped_[i].empty()) {
      EngineEvent event;
      event.finish = Finish{.reason = FinishReason::kAbort, .message = stopped_[i]};
      ids_.push_back(-1);
      sink(-1, std::move(event));
    } else {
      ids_.push_back(services_.engine.Submit(std::move(request), sink));
    }
  }
}

void Replies::Abort(size_t first, size_t count, const std::string& message) {
  std::vector<RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = first; i < first + count; ++i) {
      if (i < ids_.size()) {
        ids.push_back(ids_[i]);
      } else {
        stopped_[i] = message;
      }
    }
  }
  for (const RequestId id : ids) services_.engine.Abort(id, message);
}

std::vector<size_t> Replies::Next(const ClientLink& client) {
  constexpr auto kBetweenLooks = std::chrono::milliseconds(100);
  while (open_ > 0) {
    std::vector<std::pair<size_t, EngineEvent>> events;
    {
      std::unique_lock lock(mailbox_->mutex);
      mailbox_->news.wait_for(lock, kBetweenLooks, [&] { return !mailbox_->events.empty(); });
      events.swap(mailbox_->events);
    }
    if (Clock::now() - asked_ > kBetweenLooks) {
      if (client.Gone()) throw ClientGone();
      asked_ = Clock::now();
    }
    std::vector<size_t> changed;
    for (auto& [i, event] : events) {
      Take(i, std::move(event));
      changed.push_back(i);
    }
    if (changed.empty()) continue;
    SubmitMore();
    std::sort(changed.begin(), changed.end());
    changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
    return changed;
  }
  return {};
}

void Replies::AwaitAll(const ClientLink& client) {
  while (!Next(client).empty()) continue;
}

void Replies::Take(size_t i, EngineEvent event) {
  Reply& reply = replies_[i];
  const double seconds = SecondsSince(begun_[i]);
  if (event.id >= 0) {
    if (reply.ids.empty()) services_.metrics.CountFirstToken(seconds);
    if (!services_.record.first_token) services_.record.first_token = Clock::now();
    reply.ids.push_back(event.id);
    reply.logprobs.push_back(event.logprob);
    if (!event.top.empty()) reply.top.push_back(std::move(event.top));
    if (!event.prompt.logprobs.empty()) reply.prompt = std::move(event.prompt);
  }
  reply.cached_tokens = std::max(reply.cached_tokens, event.cached_tokens);
  reply.text += event.text;
  if (!event.finish || reply.finish) return;
  reply.finish = std::move(event.finish);
  reply.seconds = seconds;
  if (reply.finish->reason == FinishReason::kAbort) {  // by whatever way: the rest is not wanted either
    const std::lock_guard lock(mutex_);
    for (size_t later = ids_.size(); later < replies_.size(); ++later) stopped_[later] = reply.finish->message;
  }
  services_.metrics.CountReply(seconds, static_cast<int64_t>(reply.ids.size()));
  Record(*reply.finish);
  --open_;
}

void Replies::Record(const Finish& finish) {
  constexpr size_t kMostReasons = 64;
  ReplyRecord& record = services_.record;
  record.ended = Clock::now();
  if (record.finish_reasons.size() == kMostReasons) return;
  record.finish_reasons.emplace_back(finish.reason == FinishReason::kStop     ? "stop"
                                     : finish.reason == FinishReason::kLength ? "length"
                                                                              : "abort");
}

void ActiveReplies::Add(const std::string& rid, Replies& replies, size_t first, size_t count) {
  const std::lock_guard lock(mutex_);
  if (parts_.emplace(rid, Part{&replies, first, count}).second) return;
  FailUsage({.where = "rid", .what = "is the name of a request that is being answered", .found = rid.substr(0, 100)});
}

void ActiveReplies::Remove(const std::string& rid) {
  const std::lock_guard lock(mutex_);
  parts_.erase(rid);
}

bool ActiveReplies::Abort(const std::string& rid, const std::string& message) {
  const std::lock_guard lock(mutex_);
  const auto found = parts_.find(rid);
  if (found == parts_.end()) return false;
  found->second.replies->Abort(found->second.first, found->second.count, message);
  return true;
}

int64_t ActiveReplies::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(parts_.size());
}

}  // namespace nla::serve
