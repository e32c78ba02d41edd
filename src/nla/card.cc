// The text of model cards.
#include "nla/card.h"

#include <fmt/format.h>

#include <vector>

#include "base/fail.h"
#include "base/file.h"
#include "model/lora.h"
#include "nla/pair.h"

namespace nla {
namespace {

constexpr const char* kPaper = "https://transformer-circuits.pub/2026/nla/index.html";

// What one card speaks of.
struct Subject {
  enum class Kind { kActor, kCritic, kPair } kind = Kind::kPair;
  ModelSidecar sidecar;  // of the side; of a pair the verbalizer's
  bool adapters = false;
  std::string title;
  std::string base_model;
  int64_t layer = 0;
};

Subject Describe(const fs::path& directory, const CardOptions& options) {
  Subject subject;
  const bool pair = fs::exists(directory / "pair.yaml");
  const fs::path side = pair ? directory / "av" : directory;
  subject.sidecar = ReadModelSidecar(side);
  subject.adapters = HasAdapters(side);
  std::optional<int64_t> layer = subject.sidecar.layer;
  if (pair) {
    layer = ReadModelSidecar(directory / "ar").layer;
  } else {
    subject.kind = subject.sidecar.role == Role::kActor ? Subject::Kind::kActor : Subject::Kind::kCritic;
  }
  if (!layer) {
    Fail({.where = (side / "nla_meta.yaml").string() + ": critic.extraction_layer_index",
          .what = "is missing",
          .wanted = "K, without which the card would be of little use"});
  }
  subject.layer = *layer;
  subject.base_model = options.base_model.empty() ? subject.sidecar.base_checkpoint : options.base_model;
  subject.title = options.repo.empty() ? fs::absolute(directory).lexically_normal().filename().string()
                                       : options.repo.substr(options.repo.find('/') + 1);
  return subject;
}

void CheckReport(const nlohmann::json& report, const Subject& subject) {
  const auto compare = [](const char* what, const std::string& found, const std::string& wanted) {
    if (found == wanted) return;
    Fail({.where = "report", .what = fmt::format("is of another {}", what), .found = found, .wanted = wanted});
  };
  try {
    compare("layer", report.at("layer").dump(), std::to_string(subject.layer));
    compare("base model", report.at("base_model").get<std::string>(), subject.sidecar.base_checkpoint);
  } catch (const nlohmann::json::exception& error) {
    Fail({.where = "report", .what = fmt::format("is not what `nla report --json` prints ({})", error.what())});
  }
}

std::string FrontMatter(const Subject& subject, const CardOptions& options) {
  std::string out = "---\n";
  out += fmt::format("license: {}\n", options.license.empty() ? "unknown" : options.license);
  if (!subject.base_model.empty()) {
    out += fmt::format("base_model: {}\nbase_model_relation: {}\n", subject.base_model,
                       subject.adapters ? "adapter" : "finetune");
  }
  out += fmt::format("library_name: {}\n", subject.adapters ? "peft" : "transformers");
  out += "tags:\n- natural-language-autoencoder\n- nla\n- interpretability\n- activation-decoding\n---\n\n";
  return out;
}

std::string Introduction(const Subject& subject) {
  const std::string base = fmt::format("`{}`", subject.base_model);
  std::string what;
  switch (subject.kind) {
    case Subject::Kind::kPair:
      what = fmt::format(
          "A Natural Language Autoencoder (NLA) pair for {}: the verbalizer (`av/`) puts an activation "
          "into words, the reconstructor (`ar/`) turns the words back into a vector.",
          base);
      break;
    case Subject::Kind::kActor:
      what = fmt::format(
          "The verbalizer (AV) of a Natural Language Autoencoder (NLA) pair for {}: it puts an "
          "activation into words. The other side, a reconstructor, turns the words back into a vector.",
          base);
      break;
    case Subject::Kind::kCritic:
      what = fmt::format(
          "The reconstructor (AR) of a Natural Language Autoencoder (NLA) pair for {}: it turns the "
          "words that a verbalizer writes about an activation back into a vector.",
          base);
      break;
  }
  return fmt::format(
      "# {}\n\n{}\nMethod: [Natural Language Autoencoders]({}). It is a tool for interpretability and no "
      "use as a general language model.\n\n",
      subject.title, what, kPaper);
}

std::string Facts(const Subject& subject) {
  const ModelSidecar& s = subject.sidecar;
  std::string out = "| | |\n| --- | --- |\n";
  const auto row = [&](const std::string& name, const std::string& value) {
    out += fmt::format("| {} | {} |\n", name, value);
  };
  row("base model", subject.base_model);
  row("layer K", fmt::format("{0}: the output of block {0}, counted from 0 (`hidden_states[{1}]` in transformers)",
                             subject.layer, subject.layer + 1));
  row("width", std::to_string(s.d_model));
  if (subject.kind != Subject::Kind::kCritic) {
    const std::optional<double> scale = s.injection_scale.Resolve(s.d_model);
    row("injection scale", scale ? fmt::format("{:g}: the norm of the injected vector", *scale) : "none: as it is");
    if (s.injection_rule == InjectionRule::kAdd) row("injection rule", "added at the row's own norm");
    if (s.tokens) {
      row("marker",
          fmt::format("`{}`, token {} between {} and {}", s.tokens->injection_char, s.tokens->injection_token_id,
                      s.tokens->injection_left_neighbor_id, s.tokens->injection_right_neighbor_id));
    }
  }
  row("stage", s.stage);
  row("weights", subject.adapters ? "LoRA adapters (PEFT layout) over the base model" : "whole");
  return out + "\n`nla_meta.yaml` holds these facts for programs: prompts, token ids, scales.\n\n";
}

std::string FigureRow(const std::string& name, const nlohmann::json& figures) {
  const nlohmann::json& intervals = figures.at("interval");
  const auto cell = [&](const char* key) {
    const nlohmann::json& interval = intervals.at(key);
    return fmt::format("{:.3f} [{:.3f}, {:.3f}]", figures.at(key).get<double>(), interval.at(0).get<double>(),
                       interval.at(1).get<double>());
  };
  return fmt::format("| {} | {} | {} | {:.3f} |\n", name, cell("fve_raw_variance"), cell("fve_mean_norm"),
                     figures.at("cosine_mean").get<double>());
}

std::string Figures(const nlohmann::json& report) {
  std::string out =
      "## Measured\n\n| | FVE raw variance [95 %] | FVE mean norm [95 %] | cosine |\n| --- | --- | --- | --- |\n";
  try {
    out += FigureRow("round trip", report);
    if (report.contains("label")) out += FigureRow("training labels read by the reconstructor", report.at("label"));
    const nlohmann::json& floors = report.at("floors");
    out += FigureRow("floor: another row's explanation", floors.at("shuffled"));
    out += FigureRow("floor: reply to a zero vector", floors.at("zero"));
    out += FigureRow("floor: empty text", floors.at("empty"));
    out += fmt::format(
        "\n{} held-out rows of `{}`, extraction rate {:.3f}, {:.0f} tokens a reply, computed in {}.\n",
        report.at("n").get<int64_t>(), fs::path(report.at("dataset").get<std::string>()).filename().string(),
        report.at("extraction_rate").get<double>(), report.at("tokens_mean").get<double>(), report.value("dtype", "?"));
  } catch (const nlohmann::json::exception& error) {
    Fail({.where = "report", .what = fmt::format("lacks a figure ({})", error.what())});
  }
  return out +
         "FVE is the fraction of variance explained, 1 − mse / mse of a constant guess, between directions: *raw "
         "variance* guesses the mean of the scaled activations, *mean norm* that mean at full length. Published "
         "figures mix the two. The floors are what the reconstructor scores when the words say nothing of the "
         "vector.\n\n";
}

std::string ProgramUsage(const Subject& subject, const CardOptions& options) {
  const std::string place = options.repo.empty() ? "DIR" : "hf:" + options.repo;
  std::string out = "```\n";
  if (!options.repo.empty()) out += fmt::format("nla pull {}\n", place);
  switch (subject.kind) {
    case Subject::Kind::kPair:
      out += fmt::format("nla explain --pair {} --base DIR_OF_BASE --text \"The train was late.\"\n", place);
      break;
    case Subject::Kind::kActor:
      out += fmt::format("nla verbalize --av {}{} --activations vectors.parquet\n", place,
                         subject.adapters ? " --base DIR_OF_BASE" : "");
      break;
    case Subject::Kind::kCritic:
      out += fmt::format("nla reconstruct --ar {}{} --text \"Ends with \\\"late\\\".\"\n", place,
                         subject.adapters ? " --base DIR_OF_BASE" : "");
      break;
  }
  return out + "```\n\n";
}

// Runs as it stands in the directory of a whole verbalizer or reconstructor.
constexpr const char* kActorPython = R"(```python
import pathlib, re, torch, yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

directory = "."  # of this verbalizer
meta = yaml.safe_load(pathlib.Path(directory, "nla_meta.yaml").read_text())
tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModelForCausalLM.from_pretrained(directory)

content = meta["prompt_templates"]["actor"].format(injection_char=meta["tokens"]["injection_char"])
chat = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
ids = tokenizer(chat, add_special_tokens=False, return_tensors="pt")["input_ids"]
rows = model.get_input_embeddings()(ids).detach().clone()

v = torch.load("activation.pt").to(rows)  # residual stream after block K at one token
rows[ids == meta["tokens"]["injection_token_id"]] = v * (meta["extraction"]["injection_scale"] / v.norm())
reply = model.generate(inputs_embeds=rows, max_new_tokens=150, do_sample=False)
text = tokenizer.decode(reply[0])
found = re.search(r"<explanation>(.*?)</explanation>", text, re.DOTALL)
print(found.group(1).strip() if found else text)
```

)";

constexpr const char* kCriticPython = R"(```python
import pathlib, torch, yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

directory = "."  # of this reconstructor
meta = yaml.safe_load(pathlib.Path(directory, "nla_meta.yaml").read_text())
tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModelForCausalLM.from_pretrained(directory)
model.model.norm = torch.nn.Identity()  # the value head reads the residual stream itself
head = load_file(f"{directory}/value_head.safetensors")["weight"].to(model.dtype)

explanation = "Ends with \"late\"."
prompt = meta["prompt_templates"]["critic"].format(explanation=explanation)
ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
with torch.no_grad():
    v = head @ model.model(ids).last_hidden_state[0, -1]  # only its direction means something
print(" ".join(f"{x:.5g}" for x in v.tolist()))
```

)";

std::string Usage(const Subject& subject, const CardOptions& options) {
  std::string out = "## Use\n\n" + ProgramUsage(subject, options);
  if (subject.adapters) {
    return out + "`nla merge` writes the adapters into whole checkpoints, which transformers loads.\n\n";
  }
  switch (subject.kind) {
    case Subject::Kind::kPair:
      return out + "The cards of `av/` and `ar/` show each side in Python.\n\n";
    case Subject::Kind::kActor:
      // Snippets overwrite the row; the other rule would need more of them.
      return subject.sidecar.injection_rule == InjectionRule::kReplace ? out + kActorPython : out;
    case Subject::Kind::kCritic:
      return out + kCriticPython;
  }
  return out;
}

std::string Limits(const CardOptions& options) {
  std::string out =
      "## Limits\n\nAn explanation is a model's guess and can name words that were not there. The score says how well "
      "the "
      "whole of it fits the vector, not that each phrase is true. Scores compare pairs at one layer of one model "
      "only.\n";
  if (options.license.empty()) {
    out += "\nThe licence is to be filled in; that of the base model applies to what is made from it.\n";
  }
  return out;
}

}  // namespace

std::string ModelCard(const fs::path& directory, const CardOptions& options) {
  const Subject subject = Describe(directory, options);
  std::string card = FrontMatter(subject, options) + Introduction(subject) + Facts(subject);
  if (options.report) {
    CheckReport(*options.report, subject);
    card += Figures(*options.report);
  }
  return card + Usage(subject, options) + Limits(options);
}

std::vector<fs::path> WriteModelCards(const fs::path& directory, const CardOptions& options, bool replace) {
  std::vector<fs::path> places = {directory};
  if (fs::exists(directory / "pair.yaml")) places.insert(places.end(), {directory / "av", directory / "ar"});
  std::vector<std::pair<fs::path, std::string>> cards;
  for (const fs::path& place : places) {
    const fs::path path = place / "README.md";
    if (!replace && fs::exists(path)) {
      Fail({.where = path.string(), .what = "already exists", .mend = "Pass --replace to lose it"});
    }
    cards.emplace_back(path, ModelCard(place, options));
  }
  std::vector<fs::path> written;
  for (const auto& [path, text] : cards) {
    WriteFileAtomically(path, text);
    written.push_back(path);
  }
  return written;
}

}  // namespace nla
