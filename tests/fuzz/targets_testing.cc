// Every target does with its input what the program would: open it, and use it once.
#include "fuzz/targets_testing.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "data/activation_table.h"
#include "data/dataset_sidecar.h"
#include "nla/error.h"
#include "nla/sidecar.h"
#include "text/chat.h"
#include "text/tokenizer.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

// A folder in memory where there is one, for readers that take a path; removed at the end of the process.
class InputFolder {
 public:
  InputFolder() {
    const fs::path memory = "/dev/shm";
    path_ = (fs::is_directory(memory) ? memory : fs::temp_directory_path()) / ("nla-fuzz-" + std::to_string(getpid()));
    fs::create_directories(path_);
  }
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;
  ~InputFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  fs::path Write(const char* name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

 private:
  fs::path path_;
};

fs::path Written(const char* name, std::string_view bytes) {
  static const InputFolder folder;
  return folder.Write(name, bytes);
}

void ReadActivations(const char* name, std::string_view input) {
  ActivationReader reader = ActivationReader::Open(Written(name, input));
  while (!reader.Next(256).empty()) {
  }
  reader.Seek(reader.row_count() / 2);
  reader.Next(1);
}

void RunNpy(std::string_view input) { ReadActivations("a.npy", input); }
void RunNpz(std::string_view input) { ReadActivations("a.npz", input); }
void RunJsonl(std::string_view input) { ReadActivations("a.jsonl", input); }
void RunParquet(std::string_view input) { ReadActivations("a.parquet", input); }

void RunSafetensors(std::string_view input) {
  const SafetensorsFile file = SafetensorsFile::Open(Written("a.safetensors", input));
  HashOfTensors({&file, 1});
}

void RunGguf(std::string_view input) {
  const GgufFile file = GgufFile::Open(Written("a.gguf", input));
  for (const GgufTensor& tensor : file.tensors()) {
    if (RowCount(tensor) * RowWidth(tensor) <= 1 << 16) Dequantize(tensor);
  }
}

// The first line is the text; what follows it is the tokenizer.
void RunTokenizer(std::string_view input) {
  const size_t end = std::min(input.find('\n'), input.size());
  const Tokenizer tokenizer = Tokenizer::FromJson(input.substr(std::min(end + 1, input.size())), "tokenizer.json");
  const std::vector<TokenId> ids = tokenizer.Encode(input.substr(0, end), {.parse_special = true});
  tokenizer.Decode(ids);
  for (TokenId id = -1; id < 8; ++id) {
    if (tokenizer.IsValid(id)) tokenizer.TokenBytes(id);
  }
  const TokenId wild[] = {0, -1, INT32_MAX, 3};
  tokenizer.Decode(wild, false);
}

void RunChatTemplate(std::string_view input) {
  const ChatFormat chat = ChatFormat::FromText(input, "template", {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  const std::vector<ChatMessage> messages = {{"system", "s"}, {"user", "<s> u"}, {"assistant", "a"}, {"user", "v"}};
  chat.Render(messages, true);
  chat.Render(std::span(messages).last(1), false);
}

void RunModelSidecar(std::string_view input) { ReadModelSidecar(Written("nla_meta.yaml", input).parent_path()); }

void RunDatasetSidecar(std::string_view input) {
  Written("d.parquet.nla_meta.yaml", input);
  fs::path file = Written("d.parquet", "");
  const DatasetSidecar sidecar = ReadDatasetSidecar(file);
  file += ".copy";
  WriteDatasetSidecar(file, sidecar);  // what is accepted can be written
  fs::remove(SidecarPath(file));
}

// For every target: the words that its format has.
const std::vector<FuzzTarget>& Table() {
  static const std::vector<FuzzTarget> table = {
      {"safetensors",
       RunSafetensors,
       {"\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "\"F32\"", "\"BF16\"", "\"BOOL\"", "[0,0]",
        "{", "}", "[", "]", ",", "\"a\":", "\\u0000", "\\ud800"}},
      {"gguf",
       RunGguf,
       {"GGUF", "general.architecture", "general.alignment", "llama", std::string_view("\3\0\0\0", 4),
        std::string_view("\x08\0\0\0", 4), std::string_view("\x09\0\0\0", 4), std::string_view("\x04\0\0\0", 4),
        "tokenizer.ggml.tokens"}},
      {"tokenizer",
       RunTokenizer,
       {"\"model\"",
        "\"BPE\"",
        "\"Unigram\"",
        "\"vocab\"",
        "\"merges\"",
        "\"added_tokens\"",
        "\"byte_fallback\":true",
        "\"pre_tokenizer\"",
        "\"ByteLevel\"",
        "\"Split\"",
        "\"Regex\"",
        "\"Sequence\"",
        "\"Digits\"",
        "\"normalizer\"",
        "\"NFC\"",
        "\"post_processor\"",
        "\"TemplateProcessing\"",
        "\"special\":true",
        "\"ignore_merges\":true",
        "null",
        "<s>",
        "<|im_start|>",
        "(?i:",
        "\\\\p{L}+",
        "(a+)+$",
        "{",
        "}",
        "[",
        "]"}},
      {"chat_template",
       RunChatTemplate,
       {"{%",
        "%}",
        "{{",
        "}}",
        "{#",
        "#}",
        "{%-",
        "-%}",
        "for message in messages",
        "endfor",
        "if ",
        "elif ",
        "else",
        "endif",
        "set ",
        "messages",
        "message.role",
        "message['content']",
        "add_generation_prompt",
        "loop.first",
        "loop.last",
        "raise_exception(",
        "| trim",
        "<|im_start|>",
        "<|im_end|>\\n",
        " + ",
        " == ",
        "'",
        "\"",
        "namespace(",
        "macro ",
        "range(",
        "[::-1]",
        " is defined",
        " in ",
        " not ",
        "(",
        ")",
        "[",
        "]"}},
      {"model_sidecar",
       RunModelSidecar,
       {"kind: nla_model",
        "schema_version: 1",
        "role: av",
        "role: critic",
        "extraction:",
        "injection_scale: ",
        "null",
        "~",
        "sqrt_d_model",
        "tokens:",
        "critic_suffix_ids: [1, 2]",
        "&a ",
        "*a",
        "<<: *a",
        "- ",
        ": ",
        "\n  ",
        "\n",
        "!!int ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "|\n",
        "\xEF\xBB\xBF",
        "---\n",
        "nla_cpp:"}},
      {"dataset_sidecar",
       RunDatasetSidecar,
       {"kind: nla_dataset",
        "schema_version: 1",
        "stage: base",
        "stage: ar_sft",
        "extraction:",
        "corpus_slice:",
        "row_count: ",
        "tokens:",
        "prompt_templates: {}",
        "api_summaries:",
        "temperature: .nan",
        "null",
        "~",
        "&a ",
        "*a",
        "<<: *a",
        "- ",
        ": ",
        "\n  ",
        "\n",
        "!!binary ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "nla_cpp:"}},
      {"npy",
       RunNpy,
       {"\x93NUMPY",
        "'descr'",
        "'fortran_order'",
        "'shape'",
        "True",
        "False",
        "'<f4'",
        "'>f8'",
        "'|O'",
        "(",
        ")",
        "{",
        "}",
        ",",
        ":",
        "L",
        "(1,)",
        "()",
        std::string_view("\1\0", 2),
        std::string_view("\3\0", 2)}},
      {"npz",
       RunNpz,
       {"PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "PK\x06\x06", "PK\x06\x07", ".npy", "acts.npy",
        "activation_vector.npy", std::string_view("\1\0\x10\0", 4), std::string_view("\xff\xff\xff\xff", 4),
        std::string_view("\x08\0", 2)}},
      {"jsonl", RunJsonl, {"[",           "]",
                           "{",           "}",
                           ",",           ":",
                           "\n",          "\"activation_vector\":",
                           "\"doc_id\":", "\"activation_layer\":",
                           "null",        "true",
                           "1e308",       "-0",
                           "NaN",         "1e-320",
                           "\"",          "\\u0000",
                           "\\ud800",     "\xff"}},
      {"parquet",
       RunParquet,
       {"PAR1", "activation_vector", "list", "element", "ARROW:schema", std::string_view("\x15\x00", 2), "doc_id"}},
  };
  return table;
}

}  // namespace

std::span<const FuzzTarget> FuzzTargets() { return Table(); }

const FuzzTarget* FindFuzzTarget(std::string_view name) {
  const auto found = std::find_if(Table().begin(), Table().end(), [&](const FuzzTarget& t) { return t.name == name; });
  return found == Table().end() ? nullptr : &*found;
}

FuzzVerdict RunFuzzTarget(const FuzzTarget& target, std::string_view input) {
  try {
    target.run(input);
    return FuzzVerdict::kAccepted;
  } catch (const Error&) {
    return FuzzVerdict::kRefused;
  }
}

}  // namespace nla
