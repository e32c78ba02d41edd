// The replies of one HTTP request: submitted together, followed by the connection's thread, aborted when it loses
// interest.
#pragma once

#include <condition_variable>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/engine_thread.h"
#include "serve/http_message.h"
#include "serve/server_metrics.h"

namespace nla::serve {

struct Reply {
  std::vector<TokenId> ids;  // a stop token among them
  std::vector<float> logprobs;
  std::vector<std::vector<std::pair<TokenId, float>>> top;  // where it was asked for
  PromptLogprobs prompt;                                    // likewise
  std::string text;
  int64_t cached_tokens = 0;
  std::optional<Finish> finish;
  double seconds = 0;  // from submission to the end
};

class Replies;

// The replies that are being written, by the rid of their request. Thread-safe.
class ActiveReplies {
 public:
  // A rid that is in use is a usage error.
  void Add(const std::string& rid, Replies& replies, size_t first, size_t count);
  void Remove(const std::string& rid);
  // False: nothing goes by that name.
  bool Abort(const std::string& rid, const std::string& message);
  int64_t count() const;

 private:
  // Some of the replies of a request.
  struct Part {
    Replies* replies = nullptr;
    size_t first = 0, count = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Part> parts_;
};

// What is asked: `count` requests, made when their time comes, at most `ahead` of them before the first has ended.
// Prompts of a thousand activations would else lie in memory at the same time. Each of `rids` names as many of them.
struct ReplyPlan {
  size_t count = 0;
  std::function<EngineRequest(size_t)> make;
  std::vector<std::string> rids = {};
  size_t ahead = std::numeric_limits<size_t>::max();
};

// What replies need of the server. Borrowed.
struct ReplyServices {
  EngineThread& engine;
  ServerMetrics& metrics;
  ActiveReplies& active;
  ReplyRecord& record;
};

class Replies {
 public:
  // Takes the names and submits the first; when one is refused, none stays.
  Replies(const ReplyServices& services, ReplyPlan plan);
  Replies(const Replies&) = delete;
  Replies& operator=(const Replies&) = delete;
  ~Replies();  // aborts those that have not ended

  // Waits for news: the replies that have got on, in their order. Empty: all have ended. ClientGone when it has.
  std::vector<size_t> Next(const ClientLink& client);
  void AwaitAll(const ClientLink& client);
  // From any thread: replies first … first + count - 1.
  void Abort(size_t first, size_t count, const std::string& message);

  size_t size() const { return replies_.size(); }
  const Reply& operator[](size_t i) const { return replies_[i]; }

 private:
  // Where the engine's thread leaves its events; outlives this object while the engine may write.
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable news;
    std::vector<std::pair<size_t, EngineEvent>> events;
  };
  void TakeNames();
  void DropNames(size_t count);
  void Take(size_t i, EngineEvent event);
  void Record(const Finish& finish);
  void SubmitMore();

  ReplyServices services_;
  ReplyPlan plan_;
  std::shared_ptr<Mailbox> mailbox_;
  std::vector<Reply> replies_;
  std::vector<Clock::time_point> begun_;  // of those that were submitted
  Clock::time_point asked_;               // whether the client is there
  size_t open_;                           // that have not ended
  std::mutex mutex_;
  std::vector<RequestId> ids_;        // under mutex_: of those that were submitted
  std::vector<std::string> stopped_;  // under mutex_: why a reply is not to be submitted, or ""
};

}  // namespace nla::serve
