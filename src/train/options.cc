// The shared fields of a training recipe.
#include "train/options.h"

#include "base/fail.h"

namespace nla {
FieldList Fields(TrainOptions& o) {
  FieldList fields = {
      {"base_model", &o.base_model, "checkpoint directory of the base model"},
      {"init", &o.init, "trained directory to start from (adapters or a whole checkpoint) instead of the base"},
      {"dataset", &o.dataset, "training Parquet, shuffled, with its sidecar"},
      {"heldout", &o.heldout, "Parquet to evaluate on"},
      {"heldout_fraction", &o.heldout_fraction, "without heldout: share of the documents kept out of training"},
      {"out", &o.out, "run directory"},
      {"layer", &o.layer, "block K whose output the vectors are; -1 takes the dataset's"},
      {"lora.rank", &o.lora_rank, "rank of the adapters; 0 = full fine-tuning"},
      {"lora.alpha", &o.lora_alpha, "the adapters are scaled by alpha / rank"},
  };
  for (Field& field : Fields(o.optimizer)) fields.push_back(std::move(field));
  const FieldList rest = {
      {"batch_size", &o.batch_size, "rows a step"},
      {"micro_rows", &o.micro_rows, "most packed token rows of one forward and backward pass"},
      {"steps", &o.steps, "optimiser steps; 0 = as many as epochs asks for"},
      {"epochs", &o.epochs, "passes over the dataset"},
      {"seed", &o.seed, "seed of the adapters and of the held-out documents"},
      {"dtype", &o.dtype, "number type of the heavy arithmetic: auto, fp32 or bf16"},
      {"store_dtype", &o.store_dtype, "number type of the final weights: bf16 or fp32"},
      {"eval_every", &o.eval_every, "steps between held-out evaluations; 0 = only at the end"},
      {"eval_rows", &o.eval_rows, "held-out rows evaluated, the same each time"},
      {"save_every", &o.save_every, "steps between checkpoints; 0 = only at the end"},
      {"log_every", &o.log_every, "steps between lines of metrics.jsonl"},
      {"train_seconds_limit", &o.train_seconds_limit, "stop with a final save after this many seconds; 0 = none"},
  };
  fields.insert(fields.end(), rest.begin(), rest.end());
  return fields;
}

void CheckOptions(const TrainOptions& o) {
  CheckField("base_model", !o.base_model.empty(), o.base_model, "a checkpoint directory");
  CheckField("dataset", !o.dataset.empty(), o.dataset, "a Parquet file");
  CheckField("out", !o.out.empty(), o.out, "a directory for the run");
  CheckField("heldout_fraction", o.heldout_fraction >= 0 && o.heldout_fraction < 1, o.heldout_fraction,
             "a number in [0, 1)");
  CheckField("layer", o.layer >= -1, o.layer, "a block number, or -1 for the dataset's");
  CheckField("lora.rank", o.lora_rank >= 0, o.lora_rank, "0 or more");
  CheckField("lora.alpha", o.lora_alpha > 0, o.lora_alpha, "a number above 0");
  CheckField("batch_size", o.batch_size > 0, o.batch_size, "1 or more");
  CheckField("micro_rows", o.micro_rows > 0, o.micro_rows, "1 or more");
  CheckField("steps", o.steps >= 0, o.steps, "0 or more");
  CheckField("epochs", o.steps > 0 || o.epochs > 0, o.epochs, "a number above 0");
  CheckField("seed", o.seed >= 0, o.seed, "0 or more");
  CheckField("store_dtype", o.store_dtype == "bf16" || o.store_dtype == "fp32", o.store_dtype, "bf16 or fp32");
  CheckField("eval_every", o.eval_every >= 0, o.eval_every, "0 or more");
  CheckField("eval_rows", o.eval_rows >= 2, o.eval_rows, "2 or more");
  CheckField("save_every", o.save_every >= 0, o.save_every, "0 or more");
  CheckField("log_every", o.log_every > 0, o.log_every, "1 or more");
  CheckField("train_seconds_limit", o.train_seconds_limit >= 0, o.train_seconds_limit, "0 or more");
  CheckOptions(o.optimizer);
}

FieldList InSection(const FieldList& fields, const std::string& section) {
  FieldList prefixed = fields;
  for (Field& field : prefixed) field.name = section + "." + field.name;
  return prefixed;
}

std::string ValueText(const Field& field) {
  std::string text = DumpYaml({Field("value", field.target, "")});
  text = text.substr(text.find(':') + 1);
  text.erase(0, text.find_first_not_of(' '));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::vector<std::string> DifferingFields(const FieldList& a, const FieldList& b) {
  NLA_CHECK(a.size() == b.size());
  std::vector<std::string> names;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ValueText(a[i]) != ValueText(b[i])) names.push_back(a[i].name);
  }
  return names;
}

void LoadRecipe(const FieldList& fields, const std::string& recipe, const std::string& section,
                const std::vector<std::string>& assignments) {
  LoadYaml(fields, recipe, section);
  const FieldList prefixed = InSection(fields, section);
  for (const std::string& assignment : assignments) SetFieldFromAssignment(prefixed, assignment);
}

}  // namespace nla
