// Bytes and multiplications of extraction and of the three trainings.
#include "pipeline/costs.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "model/tensor_io.h"
#include "train/grpo/options.h"
#include "train/sft/ar_task.h"
#include "train/sft/av_task.h"

namespace nla {
namespace {

constexpr double kProgramBytes = 0.4e9;    // libraries and buffers that do not depend on the model
constexpr double kReached = 0.6;           // share of the matrix products' speed that whole passes reach
constexpr int64_t kPromptTokens = 45;      // of the verbalizer, around the explanation
constexpr int64_t kCriticTokens = 10;      // of the reconstructor, around the explanation
constexpr int64_t kExtractionRows = 2048;  // of a forward pass, unless it is told otherwise
constexpr int64_t kScoredRows = 128;       // rows of logits at a time
constexpr double kForward = 2;             // multiplications and additions a weight and token
constexpr double kWithAdapterGradients = 4;
constexpr double kWithWeightGradients = 6;

int64_t Elements(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

// A decoder cut to `blocks` blocks, with a head or without.
struct Size {
  const ModelSpec& spec;
  int64_t blocks;
  bool with_head;

  double parameters() const {
    double sum = 0;
    for (const TensorFacts& tensor : TensorsOf(spec, blocks, with_head))
      sum += static_cast<double>(Elements(tensor.shape));
    return sum;
  }
  // Weights that every token is multiplied by.
  double multiplied() const {
    double sum = with_head ? static_cast<double>(spec.vocab_size * spec.d_model) : 0;
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      const auto [out, in] = LinearShape(spec, linear);
      sum += static_cast<double>(out * in * blocks);
    }
    return sum;
  }
  double adapters(int64_t rank) const {
    double sum = 0;
    for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
      const auto [out, in] = LinearShape(spec, linear);
      sum += static_cast<double>((out + in) * rank * blocks);
    }
    return sum;
  }
  // Numbers of a row that a block keeps for its backward pass, beside the residual stream in fp32.
  double kept() const {
    const int64_t heads = spec.n_heads * spec.d_head;
    const int64_t key_heads = spec.n_kv_heads * spec.d_head;
    return static_cast<double>(2 * spec.d_model + 3 * heads + 3 * key_heads + 3 * spec.d_ff);
  }
};

double BytesOf(at::ScalarType dtype) { return dtype == at::kBFloat16 ? 2 : 4; }

// Gradients and moments of the trained weights, and their fp32 masters where they are kept in bf16.
double OptimizerBytes(double trained, double element) { return trained * (element == 2 ? 4 + 4 + 8 : 4 + 8); }

double PassBytes(const Size& size, int64_t rows, double element) {
  const double kept = size.kept() * element + 2 * 4 * static_cast<double>(size.spec.d_model);
  const double logits = size.with_head ? static_cast<double>(kScoredRows * size.spec.vocab_size) * element : 0;
  return static_cast<double>(rows * size.blocks) * kept + logits;
}

// A side in training: rank 0 trains all weights.
struct Side {
  Size size;
  int64_t rank;
  int64_t rows;  // of a micro-batch

  double gradient_work() const { return rank == 0 ? kWithWeightGradients : kWithAdapterGradients; }
  double state_bytes(double element) const {
    const double trained = rank == 0 ? size.parameters() : size.adapters(rank);
    return OptimizerBytes(trained, element) + (rank == 0 ? 0 : trained * element);
  }
};

StageCost SupervisedCost(const Side& side, const TrainOptions& options, int64_t tokens, const Machine& machine) {
  const double element = BytesOf(ChooseDType(options.dtype));
  StageCost cost;
  cost.memory_bytes = kProgramBytes + side.size.parameters() * element + side.state_bytes(element) +
                      PassBytes(side.size, side.rows, element);
  if (options.steps > 0 && tokens > 0) {
    const auto read = static_cast<double>(options.steps * options.batch_size * tokens);
    cost.seconds = read * side.size.multiplied() * side.gradient_work() / (machine.flops * kReached);
  }
  return cost;
}

StageCost RlCost(const RlOptions& options, const PipelineRecipe& recipe, const ModelSpec& spec, int64_t rank,
                 const Machine& machine) {
  const double element = BytesOf(ChooseDType(options.dtype));
  const Side actor{{spec, spec.n_blocks, true}, rank, options.micro_rows};
  const Side critic{{spec, recipe.options.layer + 1, false}, rank, options.micro_rows};
  const bool reference = options.objective.kl_coef > 0 || options.stop.kl > 0;
  const double weights = actor.size.parameters() * element;
  // Adapters share the base model's weights; whole sides have their own, and the policy that they began with.
  double bytes = kProgramBytes + weights;
  if (rank == 0) bytes += critic.size.parameters() * element + (reference ? weights : 0);
  bytes += actor.state_bytes(element) + critic.state_bytes(element);
  const int64_t longest = kPromptTokens + options.max_new_tokens;
  const double cache = static_cast<double>(options.slots * longest * 2 * spec.n_kv_heads * spec.d_head * spec.n_blocks);
  // While it writes: the weights once more, packed. What a part of the step frees is kept for the next step's.
  bytes += weights + cache * element + PassBytes(actor.size, options.micro_rows, element);
  StageCost cost{.memory_bytes = bytes, .seconds = {}};
  if (recipe.options.explanation_tokens > 0) {
    const auto replies = static_cast<double>(options.steps * options.prompts * options.samples);
    const auto tokens = static_cast<double>(std::min(recipe.options.explanation_tokens, options.max_new_tokens));
    const double passes =
        kForward + static_cast<double>(options.epochs) * actor.gradient_work() + (reference ? kForward : 0);
    const double work = actor.size.multiplied() * passes * tokens +
                        critic.size.multiplied() * critic.gradient_work() * (tokens + kCriticTokens);
    cost.seconds = replies * work / (machine.flops * kReached);
  }
  return cost;
}

// The documents that a command of extraction takes: as many as it names.
int64_t DocumentsOf(const Stage& stage, int64_t all) {
  const auto option = std::find(stage.words.begin(), stage.words.end(), "--corpus-length");
  if (option == stage.words.end() || option + 1 == stage.words.end()) return all;
  const std::string& text = *(option + 1);
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && count > 0 ? count : all;
}

StageCost ExtractionCost(const Stage& stage, const PipelineRecipe& recipe, const ModelSpec& spec,
                         const Machine& machine) {
  const Size size{spec, recipe.options.layer + 1, false};
  const double element = BytesOf(machine.compute);
  StageCost cost;
  cost.memory_bytes =
      kProgramBytes + size.parameters() * element + PassBytes({spec, 1, false}, kExtractionRows, element);
  const auto tokens =
      static_cast<double>(DocumentsOf(stage, recipe.options.documents) * recipe.options.tokens_per_document);
  if (tokens > 0) cost.seconds = tokens * size.multiplied() * kForward / (machine.flops * kReached);
  return cost;
}

// The rank of the adapters that the recipe's verbalizer training makes: reinforcement learning goes on with them.
int64_t RankOfPair(const PipelineRecipe& recipe, const std::vector<std::string>& assignments) {
  const bool trains = std::any_of(recipe.stages.begin(), recipe.stages.end(),
                                  [](const Stage& stage) { return stage.training == "train_av"; });
  AvSftOptions options;
  if (trains) LoadRecipe(Fields(options), recipe.file.string(), "train_av", assignments);
  return options.train.lora_rank;
}

std::optional<double> LimitOfGroup() {
  std::error_code error;
  const fs::path path = "/sys/fs/cgroup/memory.max";
  if (!fs::exists(path, error)) return std::nullopt;
  const std::string text = ReadFile(path);
  double limit = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), limit);
  return failure == std::errc() ? std::optional(limit) : std::nullopt;  // "max": none
}

}  // namespace

Machine Machine::Measure(at::ScalarType compute) {
  Machine machine{.compute = compute};
  machine.memory_bytes = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (const std::optional<double> limit = LimitOfGroup()) machine.memory_bytes = std::min(machine.memory_bytes, *limit);
  constexpr int64_t kRows = 512;
  constexpr int64_t kWidth = 1024;
  constexpr double kSeconds = 0.3;
  const at::Tensor rows = at::ones({kRows, kWidth}, compute);
  const at::Tensor weight = at::ones({kWidth, kWidth}, compute);
  at::mm(rows, weight);
  double best = std::numeric_limits<double>::max();
  const Clock::time_point begin = Clock::now();
  while (SecondsSince(begin) < kSeconds) {
    const Clock::time_point once = Clock::now();
    at::mm(rows, weight);
    best = std::min(best, SecondsSince(once));
  }
  machine.flops = 2.0 * kRows * kWidth * kWidth / best;
  return machine;
}

ModelSpec SpecOf(const PipelineRecipe& recipe) {
  const PipelineOptions& options = recipe.options;
  const fs::path beside = recipe.file.parent_path() / options.config;
  for (const fs::path& path : {fs::path(options.model) / "config.json", beside}) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) continue;
    const nlohmann::json config = nlohmann::json::parse(ReadFile(path), nullptr, false);
    if (!config.is_object()) Fail({.where = path.string(), .what = "is not a JSON object"});
    return ParseModelSpec(config, path.string());
  }
  FailUsage({.where = recipe.file.string() + ": pipeline.model",
             .what = "no config.json to reckon with",
             .found = fmt::format("none in \"{}\", nor at \"{}\"", options.model, beside.string()),
             .mend = "Fetch the model with `nla pull`, or name its config.json in pipeline.config"});
}

StageCost CostOf(const Stage& stage, const PipelineRecipe& recipe, const ModelSpec& spec, const Machine& machine,
                 const std::vector<std::string>& assignments) {
  const std::vector<std::string> own = AssignmentsOf(stage.training, assignments);
  const std::string file = recipe.file.string();
  const int64_t tokens = recipe.options.explanation_tokens;
  if (stage.training == "train_av") {
    AvSftOptions options;
    LoadRecipe(Fields(options), file, stage.training, own);
    CheckOptions(options);
    const Side side{{spec, spec.n_blocks, true}, options.train.lora_rank, options.train.micro_rows};
    return SupervisedCost(side, options.train, tokens > 0 ? tokens + kPromptTokens : 0, machine);
  }
  if (stage.training == "train_ar") {
    ArSftOptions options;
    LoadRecipe(Fields(options), file, stage.training, own);
    CheckOptions(options);
    const Side side{{spec, recipe.options.layer + 1, false}, options.train.lora_rank, options.train.micro_rows};
    return SupervisedCost(side, options.train, tokens > 0 ? tokens + kCriticTokens : 0, machine);
  }
  if (stage.training == "train_rl") {
    RlOptions options;
    LoadRecipe(Fields(options), file, stage.training, own);
    CheckOptions(options);
    return RlCost(options, recipe, spec, RankOfPair(recipe, AssignmentsOf("train_av", assignments)), machine);
  }
  if (stage.words[0] == "extract") return ExtractionCost(stage, recipe, spec, machine);
  return {};
}

}  // namespace nla
