#include "datagen/shuffle.h"

#include <fmt/format.h>

#include "data/permute.h"
#include "data/scratch_file.h"
#include "datagen/keyed_random.h"
#include "datagen/stage_io.h"

namespace nla {
namespace {

// What tells the two stages apart.
struct Kind {
  std::string name;         // stage, for the run key and the progress line
  std::string key_suffix;   // of the generator's key
  std::string id_suffix;    // of the output's dataset_id, before the seed
  std::string seed_fact;    // name of the seed in the sidecar
  std::string only_column;  // empty: whole rows
};

ShuffleResult Run(const ShuffleOptions& options, const Kind& kind) {
  DatasetSidecar sidecar;
  ShuffleResult result;
  {
    const StageInput input = OpenStageInput(options.input);
    sidecar = input.sidecar;
    result.rows = input.reader.row_count();
  }
  const std::string run_key = RunKey(sidecar, {kind.name, std::to_string(options.seed)});
  if (IsUpToDate(options.output, run_key, options.replace, options.input)) {
    result.up_to_date = true;
    return result;
  }
  ScratchArray order(options.output.parent_path(), result.rows);
  PythonRandom random = KeyedRandom(fmt::format("{}|{}{}", options.seed, sidecar.dataset_id, kind.key_suffix));
  FillShuffledOrder(order.values(), random);
  for (int64_t i = 0; i < result.rows; ++i) result.fixed_points += order.values()[static_cast<size_t>(i)] == i ? 1 : 0;
  PermuteRows(options.input, options.output, order.values(), {.only_column = kind.only_column, .label = kind.name});

  DatasetSidecar derived =
      DeriveSidecar(sidecar, {.dataset_id = fmt::format("{}__{}{}", sidecar.dataset_id, kind.id_suffix, options.seed),
                              .row_count = result.rows,
                              .created_by = options.created_by,
                              .run_key = run_key});
  SetExtra(derived, kind.seed_fact, std::to_string(options.seed));
  WriteDatasetSidecar(options.output, derived);
  return result;
}

}  // namespace

ShuffleResult Shuffle(const ShuffleOptions& options) {
  return Run(
      options,
      {.name = "shuffle", .key_suffix = "", .id_suffix = "shuf", .seed_fact = "shuffle_seed", .only_column = ""});
}

ShuffleResult ShuffleActivations(const ShuffleOptions& options) {
  return Run(options, {.name = "shuffle-activations",
                       .key_suffix = "|activ",
                       .id_suffix = "shuf_activations",
                       .seed_fact = "shuffle_activations_seed",
                       .only_column = "activation_vector"});
}

}  // namespace nla
