// Tiny models and datasets for the training tests.
#include "train/train_testing.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "base/random.h"
#include "data/activation_table.h"
#include "nla/prompt.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace nla {
namespace {

constexpr const char* kActorTemplate = "<c>{injection_char}</c> ?";
constexpr const char* kCriticTemplate = "Text: <t>{explanation}</t> <s>";
constexpr const char* kResponses[] = {"red", "green apples", "the blue sea at noon", "x"};

// The printable stand-in of a byte in byte-level vocabularies.
std::string ByteSpelling(int byte, int& next) {
  const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const int code = printable ? byte : next++;
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

nlohmann::json TinyTokenizer() {
  nlohmann::json vocabulary;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) vocabulary[ByteSpelling(byte, next)] = byte;
  nlohmann::json added = nlohmann::json::array();
  int id = 256;
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|reserved_0|>"}) {
    added.push_back({{"id", id++},
                     {"content", special},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    vocabulary[special] = id - 1;
  }
  const nlohmann::json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", vocabulary},
            {"merges", nlohmann::json::array()}}}};
}

constexpr const char* kChatTemplate =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe "
    "brief.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

}  // namespace

TestFolder::TestFolder() {
  std::string name = (fs::temp_directory_path() / "nla-train-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void WriteTinyModel(const fs::path& directory) {
  fs::create_directories(directory);
  const fs::path golden = fs::path(NLA_SOURCE_DIR) / "tests/model/golden/tiny_llama";
  for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(golden / name, directory / name);
  WriteFileAtomically(directory / "tokenizer.json", TinyTokenizer().dump());
  const nlohmann::json config = {{"chat_template", kChatTemplate}, {"eos_token", "<|im_end|>"}};
  WriteFileAtomically(directory / "tokenizer_config.json", config.dump());
}

std::vector<ActivationRow> TinyRows(const std::string& stage, int64_t rows, const DatasetSidecar& sidecar) {
  CounterRandom random(7, stage == "av_sft" ? 1 : 2);
  std::vector<ActivationRow> made;
  for (int64_t i = 0; i < rows; ++i) {
    ActivationRow row;
    row.n_raw_tokens = 50 + i % 4;
    row.activation_layer = kTinyLayer;
    row.doc_id = fmt::format("made-up:train:{}", i / 4);
    const auto kind = random.Below(std::size(kResponses));
    const std::string text = fmt::format("{} {}", kResponses[kind], random.Below(10));
    for (int64_t d = 0; d < kTinyWidth; ++d) {
      row.activation.push_back(random.Normal() +
                               (static_cast<uint64_t>(d) % std::size(kResponses) == kind ? 5.F : 0.F));
    }
    if (stage == "av_sft") {
      std::string content = sidecar.actor_template;
      const std::string field = "{injection_char}";
      content.replace(content.find(field), field.size(), kInjectPlaceholder);
      row.prompt_messages = {{"user", content}};
      row.response = WrapExplanation(text);
    } else {
      row.prompt_text = FillCriticTemplate(sidecar.critic_template, text);
    }
    made.push_back(std::move(row));
  }
  return made;
}

void WriteTinyDataset(const fs::path& path, const std::string& stage, int64_t rows, const fs::path& model) {
  const Tokenizer tokenizer = Tokenizer::Load(model);
  DatasetSidecar sidecar;
  sidecar.dataset_id = "made_up__" + stage;
  sidecar.stage = stage;
  sidecar.row_count = rows;
  sidecar.base_model = "tiny";
  sidecar.d_model = kTinyWidth;
  sidecar.layer_index = kTinyLayer;
  sidecar.corpus = "made-up";
  sidecar.actor_template = kActorTemplate;
  sidecar.critic_template = kCriticTemplate;
  sidecar.tokens = ChooseMarker(tokenizer, ChatFormat::Load(model), kActorTemplate, kCriticTemplate);
  ActivationWriter writer(path, stage == "av_sft" ? RowSchema::kAvSft : RowSchema::kArSft, kTinyWidth, false);
  writer.Append(TinyRows(stage, rows, sidecar));
  writer.Finish();
  WriteDatasetSidecar(path, sidecar);
}

std::vector<nlohmann::json> ReadMetrics(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    lines.push_back(nlohmann::json::parse(line));
    for (const char* field : {"seconds", "samples_per_second", "tokens_per_second"}) lines.back().erase(field);
  }
  return lines;
}

}  // namespace nla
