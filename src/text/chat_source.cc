// Reads chat_template.jinja, tokenizer_config.json, special_tokens_map.json and generation_config.json.
#include "text/chat_source.h"

#include <algorithm>
#include <array>

#include "base/fail.h"
#include "base/file.h"
#include "text/json_view.h"

namespace nla {
namespace {

constexpr std::array<std::string_view, 7> kTokenNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                         "pad_token", "cls_token", "mask_token"};

// The file as JSON; null when it is not there.
nlohmann::json ReadOptional(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return nullptr;
  return ParseJson(ReadFile(path), path.string());
}

// A token is written as its spelling, or as an object with the field "content".
void AddToken(const JsonView& field, const std::string& name, ChatSource& source) {
  const auto same = [&](const auto& known) { return known.first == name; };
  if (std::any_of(source.tokens.begin(), source.tokens.end(), same)) return;
  const bool is_object = field.value().is_object();
  source.tokens.emplace_back(name, is_object ? field.At("content").String() : field.String());
}

void AddTokens(const nlohmann::json& config, const std::string& where, ChatSource& source) {
  const JsonView view(config, where);
  for (const std::string_view name : kTokenNames) {
    if (const auto field = view.Find(name)) AddToken(*field, std::string(name), source);
  }
  const auto extra = view.Find("extra_special_tokens");
  if (!extra || !extra->value().is_object()) return;
  for (const auto& [name, token] : extra->value().items()) AddToken(extra->At(name), name, source);
}

// The named template of a list, or an empty string.
std::string NamedTemplate(const JsonView& list, std::string_view name) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (list.At(i).At("name").String() == name) return list.At(i).At("template").String();
  }
  return "";
}

void ReadTemplate(const std::filesystem::path& directory, const nlohmann::json& config, bool with_tools,
                  ChatSource& source) {
  const std::filesystem::path file = directory / "chat_template.jinja";
  if (std::filesystem::exists(file)) {
    source.text = ReadFile(file);
    source.where = file.string();
    return;
  }
  const std::string config_path = (directory / "tokenizer_config.json").string();
  source.where = config_path + ": chat_template";
  const auto field = JsonView(config, config_path).Find("chat_template");
  if (!field) {
    Fail({.where = source.where,
          .what = "the checkpoint has no chat template",
          .wanted = "an instruction-tuned model",
          .mend = "Use the model's instruct variant"});
  }
  if (!field->value().is_array()) {
    source.text = field->String();
    return;
  }
  if (with_tools) source.text = NamedTemplate(*field, "tool_use");
  if (source.text.empty()) source.text = NamedTemplate(*field, "default");
  if (source.text.empty()) {
    Fail({.where = source.where, .what = "no template named \"default\" among those listed"});
  }
}

void ReadEosIds(const std::filesystem::path& path, ChatSource& source) {
  const nlohmann::json config = ReadOptional(path);
  if (config.is_null()) return;
  const auto field = JsonView(config, path.string()).Find("eos_token_id");
  if (!field) return;
  const auto read = [](const JsonView& id) { return static_cast<TokenId>(id.Int(0, INT32_MAX)); };
  if (!field->value().is_array()) {
    source.eos_ids.push_back(read(*field));
    return;
  }
  for (size_t i = 0; i < field->size(); ++i) source.eos_ids.push_back(read(field->At(i)));
}

}  // namespace

ChatSource ReadChatSource(const std::filesystem::path& directory, bool with_tools) {
  ChatSource source;
  const std::filesystem::path config_path = directory / "tokenizer_config.json";
  const bool has_file = std::filesystem::exists(directory / "chat_template.jinja");
  // Without a template of its own, a directory needs the configuration: reading it fails with the file's name.
  const nlohmann::json config =
      has_file ? ReadOptional(config_path) : ParseJson(ReadFile(config_path), config_path.string());
  ReadTemplate(directory, config, with_tools, source);
  if (!config.is_null()) AddTokens(config, config_path.string(), source);
  const std::filesystem::path map_path = directory / "special_tokens_map.json";
  const nlohmann::json map = ReadOptional(map_path);
  if (!map.is_null()) AddTokens(map, map_path.string(), source);
  ReadEosIds(directory / "generation_config.json", source);
  return source;
}

}  // namespace nla
