#include "datagen/build.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/fail.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "datagen/dataset_id.h"
#include "datagen/stage_io.h"
#include "nla/prompt.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace nla {
namespace {

RowSchema SchemaOf(const std::string& stage) {
  if (stage == "av_sft") return RowSchema::kAvSft;
  if (stage == "ar_sft") return RowSchema::kArSft;
  if (stage == "rl") return RowSchema::kRl;
  FailUsage({.where = "stage", .what = "unknown stage", .found = stage, .wanted = "av_sft, ar_sft or rl"});
}

void CheckInput(const StageInput& input, RowSchema schema) {
  const auto refuse = [&](const std::string& field, const std::string& what, const std::string& found,
                          const std::string& wanted) {
    Fail({.where = fmt::format("{}: {}", SidecarPath(input.path).string(), field),
          .what = what,
          .found = found,
          .wanted = wanted});
  };
  if (input.sidecar.stage != "base") refuse("stage", "the dataset is built already", input.sidecar.stage, "base");
  if (input.sidecar.norm != "none") refuse("extraction.norm", "the vectors are not raw", input.sidecar.norm, "none");
  if (schema != RowSchema::kRl && input.reader.schema() != RowSchema::kExplained) {
    Fail({.where = input.path.string(),
          .what = "the rows have no api_explanation",
          .mend = "Run `nla label` on the file first"});
  }
}

// The facts of a marker that the user names, as they are in the canonical prompt.
TokenFacts NamedMarker(const Tokenizer& tokenizer, const ChatFormat& chat, const std::string& actor_template,
                       const std::string& marker) {
  const auto alone = tokenizer.Encode(marker, {.add_special = false, .parse_special = false});
  if (alone.size() != 1) {
    FailUsage({.where = "injection marker",
               .what = fmt::format("\"{}\" is not one token of this tokenizer", marker),
               .found = fmt::format("{} tokens", alone.size()),
               .mend = "Name a character that is, or none for an automatic choice"});
  }
  const std::vector<ChatMessage> messages = {{"user", FillActorTemplate(actor_template, marker)}};
  const auto ids = chat.Encode(tokenizer, messages, /*add_generation_prompt=*/true);
  const auto site = std::find(ids.begin(), ids.end(), alone[0]);
  if (site == ids.begin() || site == ids.end() || site + 1 == ids.end()) {
    FailUsage(
        {.where = "injection marker", .what = fmt::format("\"{}\" does not stay one token inside the prompt", marker)});
  }
  return {.injection_char = marker,
          .injection_token_id = alone[0],
          .injection_left_neighbor_id = *(site - 1),
          .injection_right_neighbor_id = *(site + 1),
          .critic_suffix_ids = {}};
}

// Everything that is the same for every row.
class RowBuilder {
 public:
  RowBuilder(const BuildOptions& options, const std::filesystem::path& model_dir)
      : schema_(SchemaOf(options.stage)),
        actor_template_(options.actor_template.empty() ? kDefaultActorTemplate : options.actor_template),
        critic_template_(options.critic_template.empty() ? kDefaultCriticTemplate : options.critic_template),
        tokenizer_(Tokenizer::Load(model_dir)) {
    const ChatFormat chat = ChatFormat::Load(model_dir, {.date = options.chat_date});
    if (chat.uses_date()) chat_date_ = chat.date();
    if (!options.chat_date.empty() && chat_date_.empty()) {
      FailUsage({.where = "chat date", .what = fmt::format("the chat template of {} says none", model_dir.string())});
    }
    if (options.injection_char.empty()) {
      tokens_ = ChooseMarker(tokenizer_, chat, actor_template_, critic_template_);
    } else {
      tokens_ = NamedMarker(tokenizer_, chat, actor_template_, options.injection_char);
      tokens_.critic_suffix_ids = CriticSuffixIds(tokenizer_, critic_template_);
    }
    messages_ = {{"user", FillActorTemplate(actor_template_, kInjectPlaceholder)}};
    // What a row will say must give the prompt that the facts are about.
    BuildActorPrompt(tokenizer_, chat, messages_, tokens_);
  }

  RowSchema schema() const { return schema_; }
  const TokenFacts& tokens() const { return tokens_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::string& actor_template() const { return actor_template_; }
  const std::string& critic_template() const { return critic_template_; }
  // "" when the chat template says no date.
  const std::string& chat_date() const { return chat_date_; }

  bool Wants(const ActivationRow& row) const {
    return schema_ == RowSchema::kRl || row.explanation.find_first_not_of(" \t\r\n") != std::string::npos;
  }

  // `where` names the input row in errors.
  void Fill(ActivationRow& row, const std::string& where) const {
    if (schema_ != RowSchema::kArSft) row.prompt_messages = messages_;
    if (schema_ == RowSchema::kAvSft) row.response = WrapExplanation(row.explanation);
    if (schema_ != RowSchema::kArSft) return;
    row.prompt_text = FillCriticTemplate(critic_template_, row.explanation);
    try {
      CriticPromptIds(tokenizer_, row.prompt_text, tokens_.critic_suffix_ids);
    } catch (const Error& e) {
      nla::Fail({.where = where, .what = e.what()});
    }
  }

 private:
  RowSchema schema_;
  std::string actor_template_;
  std::string critic_template_;
  Tokenizer tokenizer_;
  std::string chat_date_;
  TokenFacts tokens_;
  std::vector<ChatMessage> messages_;
};

void WriteSidecar(const BuildOptions& options, const StageInput& input, const RowBuilder& builder,
                  const BuildResult& result, const std::string& run_key) {
  DatasetSidecar sidecar =
      DeriveSidecar(input.sidecar, {.dataset_id = BuiltDatasetId(options.stage, input.sidecar.dataset_id),
                                    .row_count = result.rows_out,
                                    .created_by = options.created_by,
                                    .run_key = run_key});
  sidecar.stage = options.stage;
  sidecar.keep_debug_metadata = options.keep_text && input.reader.has_text();
  sidecar.tokens = result.tokens;
  sidecar.actor_template = builder.actor_template();
  sidecar.critic_template = builder.critic_template();
  SetExtra(sidecar, "tokenizer_hash", builder.tokenizer().hash());
  if (!builder.chat_date().empty()) SetExtra(sidecar, kChatDateFact, builder.chat_date());
  SetExtra(sidecar, "build_rows_in", std::to_string(result.rows_in));
  WriteDatasetSidecar(options.output, sidecar);
}

}  // namespace

BuildResult Build(const BuildOptions& options) {
  const RowSchema schema = SchemaOf(options.stage);
  StageInput input = OpenStageInput(options.input);
  CheckInput(input, schema);
  const RowBuilder builder(
      options, options.model_dir.empty() ? std::filesystem::path(input.sidecar.base_model) : options.model_dir);
  std::vector<std::string> parts = {"build",
                                    options.stage,
                                    builder.tokenizer().hash(),
                                    builder.actor_template(),
                                    builder.critic_template(),
                                    builder.tokens().injection_char,
                                    options.keep_text ? "text" : ""};
  if (!builder.chat_date().empty()) parts.push_back(builder.chat_date());
  const std::string run_key = RunKey(input.sidecar, parts);
  BuildResult result{.rows_in = input.reader.row_count(), .tokens = builder.tokens()};
  if (IsUpToDate(options.output, run_key, options.replace, options.input)) {
    result.rows_out = ReadDatasetSidecar(options.output).row_count;
    result.dropped_without_explanation = result.rows_in - result.rows_out;
    result.up_to_date = true;
    return result;
  }
  ActivationWriter writer(options.output, schema, input.reader.d_model(), options.keep_text && input.reader.has_text());
  Progress progress("build", "rows", result.rows_in);
  int64_t row = 0;
  for (auto rows = input.reader.Next(kStageRows); !rows.empty(); rows = input.reader.Next(kStageRows)) {
    for (ActivationRow& entry : rows) {
      const std::string where = fmt::format("{}: row {}", options.input.string(), row++);
      if (entry.activation_layer != input.sidecar.layer_index) {
        Fail({.where = where,
              .what = "activation_layer is not the sidecar's layer_index",
              .found = std::to_string(entry.activation_layer),
              .wanted = std::to_string(input.sidecar.layer_index)});
      }
      if (!builder.Wants(entry)) continue;
      builder.Fill(entry, where);
      writer.Append({&entry, 1});
    }
    progress.Update(row);
    ThrowIfInterrupted();
  }
  result.rows_out = writer.row_count();
  result.dropped_without_explanation = result.rows_in - result.rows_out;
  if (result.rows_out == 0) Fail({.where = options.input.string(), .what = "no row has an explanation"});
  writer.Finish();
  WriteSidecar(options, input, builder, result, run_key);
  return result;
}

}  // namespace nla
