// A supervised run from options to the final checkpoint.
#include "train/sft/run.h"

#include <fmt/format.h>

#include "base/log.h"
#include "model/tensor_io.h"
#include "train/collectives/rank_share.h"

namespace nla {
namespace {

// Fields that a continued run may change: where it is, how long it goes on, how often it reports.
constexpr std::string_view kMayChange[] = {"out",        "steps",     "epochs",  "eval_every",          "eval_rows",
                                           "save_every", "log_every", "heldout", "train_seconds_limit", "store_dtype"};

template <typename Task, typename Options>
LoopResult Train(Options& options, StartMode mode, Role role) {
  TrainOptions& train = options.train;
  const std::shared_ptr<Communicator> ranks = JoinedProcesses();
  CheckShares("batch_size", train.batch_size, *ranks);
  // "auto" is settled first: the recipe on disk says what was done, and a resumed run must do the same.
  train.dtype = NameOfDType(ChooseDType(train.dtype));
  if (ranks->writes()) {
    CheckRunDirectory(train.out, mode);
    if (mode == StartMode::kResume) {
      Options before;
      CheckSameRecipe(train.out, {Fields(options), Fields(before)}, kMayChange);
    }
  }
  RoleModel model = LoadRoleModel(train, role);
  const HeldOutRule rule{.fraction = train.heldout.empty() ? train.heldout_fraction : 0, .seed = train.seed};
  const std::vector<ActivationRow> heldout = HeldOutRows(train.dataset, train.heldout, rule, train.eval_rows);
  BatchSource source(train.dataset, rule);
  const int64_t total_steps = TotalSteps(train, source.rows_per_epoch());
  Task task(model, options, total_steps);
  if (ranks->writes()) PrepareRunDirectory(train.out, mode);
  spdlog::info("{} rows an epoch, {} steps of {}, {} trained tensors, {}", source.rows_per_epoch(), total_steps,
               train.batch_size, task.optimizer().trainables().size(), train.dtype);
  return RunLoop({.task = task,
                  .source = source,
                  .heldout = heldout,
                  .options = train,
                  .recipe = DumpYaml(Fields(options)),
                  .total_steps = total_steps,
                  .ranks = *ranks});
}

}  // namespace

LoopResult TrainAv(AvSftOptions options, StartMode mode) {
  CheckOptions(options);
  ReadTrainingSidecar(options.train, Role::kActor);
  if (options.injection_scale == "auto") {
    options.injection_scale = fmt::format("{}", ScaleFromNorms(options.train.dataset));
  }
  return Train<AvTask>(options, mode, Role::kActor);
}

LoopResult TrainAr(ArSftOptions options, StartMode mode) {
  CheckOptions(options);
  ReadTrainingSidecar(options.train, Role::kCritic);
  return Train<ArTask>(options, mode, Role::kCritic);
}

}  // namespace nla
