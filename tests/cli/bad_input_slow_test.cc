// Bad input to the program: each ends with one clear line on stderr that names the place, with exit code 1 or 2, and
// leaves nothing behind where the output should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/file.h"
#include "cli/tiny_road_testing.h"

namespace nla {
namespace {

using nlohmann::json;
using testing::HasSubstr;

using Arguments = std::vector<std::string>;

// The files in a folder, with sizes. A folder that was made for the output may stay, empty.
std::vector<std::string> Listing(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    names.push_back(fs::relative(entry.path(), folder).string() + " " + std::to_string(entry.file_size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The code and one line that has all `parts`.
void ExpectOneLine(const RunResult& run, int code, const std::vector<std::string>& parts) {
  EXPECT_EQ(run.code, code);
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  EXPECT_TRUE(run.err.starts_with("nla: ")) << run.err;
  for (const std::string& part : parts) EXPECT_THAT(run.err, HasSubstr(part));
}

class BadInput : public testing::Test {
 protected:
  // One line, the exit code, and nothing new in out_.
  void ExpectRefused(Arguments arguments, int code, const std::vector<std::string>& parts) const {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const auto before = Listing(out_.path());
    arguments.insert(arguments.end(), {"--log-level", "error"});
    ExpectOneLine(RunNla(arguments), code, parts);
    EXPECT_EQ(Listing(out_.path()), before);
  }
  std::string Out(const std::string& name) const { return (out_ / name).string(); }

  // A changed copy of a file or folder of the road.
  std::string Copy(const std::string& name, const std::string& as) const {
    const fs::path copy = in_ / as;
    fs::copy(road_ / name, copy, fs::copy_options::recursive);
    const std::string sidecar = ".nla_meta.yaml";
    if (fs::exists((road_ / name) + sidecar)) fs::copy_file((road_ / name) + sidecar, copy.string() + sidecar);
    return copy.string();
  }
  static void Change(const fs::path& path, const std::function<void(std::string&)>& change) {
    std::string bytes = ReadFile(path);
    change(bytes);
    WriteFileForTest(path, bytes);
  }
  // heldout.parquet with other vectors: `code` is Python that changes `vectors`, a list of lists of floats.
  std::string WithVectors(const std::string& as, const std::string& code) const {
    const std::string path = Copy("heldout.parquet", as);
    const std::string script = "import re, pyarrow as pa, pyarrow.parquet as pq\npath = '" + path +
                               "'\ntable = pq.read_table(path)\nvectors = table['activation_vector'].to_pylist()\n" +
                               code + R"(
kind = pa.list_(pa.float32(), len(vectors[0]))
at = table.schema.get_field_index('activation_vector')
pq.write_table(table.set_column(at, pa.field('activation_vector', kind), pa.array(vectors, kind)), path)
meta = open(path + '.nla_meta.yaml').read()
open(path + '.nla_meta.yaml', 'w').write(re.sub(r'd_model: \d+', f'd_model: {len(vectors[0])}', meta))
)";
    EXPECT_EQ(RunPython(in_, script), 0);
    return path;
  }

  Arguments Extract(const std::string& model) const {
    return {"extract",          "--model", model,     "--corpus", road_ / "corpus.jsonl", "--layer", "1",
            "--min-position",   "10",      "--dtype", "fp32",     "--corpus-name",        "made-up", "--out",
            Out("base.parquet")};
  }
  Arguments Verbalize(const std::string& actor, const std::string& base, const std::string& rows) const {
    return {"verbalize",
            "--av",
            actor,
            "--base",
            base,
            "--activations",
            rows,
            "--dtype",
            "fp32",
            "--max-new-tokens",
            "2",
            "--out",
            Out("explained.jsonl")};
  }
  Arguments Score(const std::string& rows) const {
    return {"score", "--ar", road_ / "pair/ar", "--base", road_ / "model", "--input", rows, "--dtype", "fp32"};
  }
  Arguments Report(const std::string& rows) const {
    return {"report",  "--pair", road_ / "pair",     "--dataset", rows,     "--rows",        "8",
            "--dtype", "fp32",   "--max-new-tokens", "2",         "--html", Out("card.html")};
  }
  Arguments Train(const std::string& role, const std::string& assignment) const {
    return {"train",
            role,
            road_ / "recipe.yaml",
            "--set",
            "train_" + role + ".out=" + Out("run"),
            "--set",
            "train_" + role + "." + assignment};
  }

  const TinyRoad& road_ = TinyRoad::Get();
  TestFolder in_, out_;
};

TEST_F(BadInput, TruncatedSafetensors) {
  for (const double share : {0.0, 0.001, 0.5, 0.999}) {
    const std::string model = Copy("model", "model" + std::to_string(share));
    Change(model + "/model.safetensors",
           [&](std::string& bytes) { bytes.resize(static_cast<size_t>(share * static_cast<double>(bytes.size()))); });
    ExpectRefused(Extract(model), 1, {"model.safetensors"});
  }
  const std::string pair = Copy("pair", "pair");
  Change(pair + "/av/adapter_model.safetensors", [](std::string& bytes) { bytes.resize(bytes.size() - 2); });
  ExpectRefused(Verbalize(pair + "/av", road_ / "model", road_ / "heldout.parquet"), 1, {"adapter_model.safetensors"});
}

TEST_F(BadInput, BitFlippedSafetensors) {
  const std::string model = Copy("model", "model");
  const std::string whole = ReadFile(model + "/model.safetensors");
  const auto flip = [&](size_t at) {
    WriteFileForTest(model + "/model.safetensors", whole);
    Change(model + "/model.safetensors", [&](std::string& bytes) { bytes[at] ^= 0x10; });
  };
  // Length of the header, its first bracket, a tensor's name, the numbers at its end.
  const size_t header_end = whole.find("}}") + 2;
  ASSERT_LT(header_end, whole.size());
  for (const size_t at : {size_t{0}, size_t{3}, size_t{7}, size_t{8}, whole.find("model.layers.0") + 6,
                          whole.find("data_offsets") + 4, header_end - 1, header_end - 4}) {
    flip(at);
    ExpectRefused(Extract(model), 1, {"model"});
  }
  // The numbers themselves have no checksum in this format, but a pair names its base model by their hash.
  flip(whole.size() - 1001);
  ExpectRefused({"explain", "--pair", road_ / "pair", "--base", model, "--text", "Rain fell"}, 1,
                {"is not the base model", "weights"});
}

TEST_F(BadInput, TruncatedAndBitFlippedGguf) {
  const std::string whole = ReadFile(NLA_SOURCE_DIR "/tests/weights/golden/tiny_llama.gguf");
  const auto convert = [&](const std::string& bytes) {
    WriteFileForTest(in_ / "model.gguf", bytes);
    ExpectRefused({"convert", (in_ / "model.gguf").string(), Out("model")}, 1, {"model.gguf"});
  };
  for (const double share : {0.0, 0.0005, 0.02, 0.5, 0.999}) {
    convert(whole.substr(0, static_cast<size_t>(share * static_cast<double>(whole.size()))));
  }
  // Magic, version, number of tensors, number of fields, length of the first key, the first key.
  for (const size_t at : {0, 4, 9, 17, 25, 33}) {
    std::string flipped = whole;
    flipped[at] ^= 0x40;
    convert(flipped);
  }
}

TEST_F(BadInput, TruncatedParquet) {
  for (const double share : {0.0, 0.5, 0.999}) {
    const std::string rows = Copy("heldout.parquet", "rows" + std::to_string(share) + ".parquet");
    Change(rows,
           [&](std::string& bytes) { bytes.resize(static_cast<size_t>(share * static_cast<double>(bytes.size()))); });
    ExpectRefused(Score(rows), 1, {rows});
    ExpectRefused({"split", "--input", rows, "--out-dir", Out("split")}, 1, {rows});
    ExpectRefused({"label", "--input", rows, "--out", Out("explained.parquet")}, 1, {rows});
    ExpectRefused(Report(rows), 1, {rows});
  }
}

// Pages of data carry checksums. A flip in the footer is refused, or changes nothing that is read (statistics, names of
// the writer).
TEST_F(BadInput, BitFlippedParquet) {
  const std::string rows = Copy("heldout.parquet", "rows.parquet");
  const std::string whole = ReadFile(rows);
  Arguments score = Score(rows);
  score.insert(score.end(), {"--log-level", "error"});
  const RunResult sound = RunNla(score);
  ASSERT_EQ(sound.code, 0) << sound.err;
  constexpr size_t kFlips = 16;
  int refused = 0;
  for (size_t i = 0; i < kFlips; ++i) {
    SCOPED_TRACE(i);
    WriteFileForTest(rows, whole);
    Change(rows, [&](std::string& bytes) { bytes[(2 * i + 1) * bytes.size() / (2 * kFlips)] ^= 0x10; });
    const RunResult run = RunNla(score);
    if (run.code == 0) {
      EXPECT_EQ(run.out, sound.out);
    } else {
      ++refused;
      ExpectOneLine(run, 1, {rows});
    }
  }
  EXPECT_GE(refused, 10);
  WriteFileForTest(rows, whole);
  Change(rows, [](std::string& bytes) { bytes[bytes.size() / 2] ^= 1; });
  ExpectRefused({"split", "--input", rows, "--out-dir", Out("split")}, 1, {rows});
  ExpectRefused({"label", "--input", rows, "--out", Out("explained.parquet")}, 1, {rows});
}

TEST_F(BadInput, WrongWidth) {
  const std::string narrow = WithVectors("narrow.parquet", "vectors = [v[:32] for v in vectors]");
  for (const Arguments& arguments :
       {Verbalize(road_ / "pair/av", road_ / "model", narrow), Score(narrow), Report(narrow),
        Arguments{"pair", "--av", road_ / "runs/av/final", "--ar", road_ / "runs/ar/final", "--base", road_ / "model",
                  "--dataset", narrow, "--out", Out("pair")}}) {
    ExpectRefused(arguments, 1, {narrow, "width", "found 32", "wanted 64"});
  }
  // A sidecar that says another width than its file has.
  const std::string lying = Copy("heldout.parquet", "lying.parquet");
  Change(lying + ".nla_meta.yaml",
         [](std::string& text) { text.replace(text.find("d_model: 64"), 11, "d_model: 32"); });
  ExpectRefused({"split", "--input", lying, "--out-dir", Out("split")}, 1, {"d_model", "found 32", "wanted 64"});
}

TEST_F(BadInput, SidecarOfAnotherTokenizer) {
  const std::string other = Copy("model", "other");
  Change(other + "/tokenizer.json", [](std::string& text) {
    // The marker changes places with another token.
    json tokenizer = json::parse(text);
    json& vocabulary = tokenizer["model"]["vocab"];
    const json& merges = tokenizer["model"]["merges"];
    const auto merged = [](const json& merge) { return merge[0].get<std::string>() + merge[1].get<std::string>(); };
    std::swap(vocabulary[merged(merges[0])], vocabulary[merged(merges[1])]);
    text = tokenizer.dump();
  });
  ExpectRefused({"explain", "--pair", road_ / "pair", "--base", other, "--text", "Rain fell"}, 1, {"tokenizer"});
  ExpectRefused(Verbalize(road_ / "pair/av", other, road_ / "heldout.parquet"), 1, {"tokenizer"});
  ExpectRefused({"score", "--ar", road_ / "pair/ar", "--base", other, "--input", road_ / "heldout.parquet"}, 1,
                {"tokenizer"});
}

TEST_F(BadInput, NonFiniteActivations) {
  const std::pair<const char*, const char*> values[] = {{"nan", "nan"}, {"inf", "inf"}};
  for (const auto& [value, shown] : values) {
    const std::string rows =
        WithVectors(std::string(value) + ".parquet", "vectors[3][5] = float('" + std::string(value) + "')");
    for (const Arguments& arguments : {Verbalize(road_ / "pair/av", road_ / "model", rows), Score(rows), Report(rows),
                                       Arguments{"split", "--input", rows, "--out-dir", Out("split")},
                                       Arguments{"label", "--input", rows, "--out", Out("explained.parquet")}}) {
      ExpectRefused(arguments, 1, {rows, "row 3", "value 5", shown});
    }
  }
}

TEST_F(BadInput, EmptyCorpus) {
  WriteFileForTest(in_ / "empty.jsonl", "");
  WriteFileForTest(in_ / "short.jsonl", "{\"text\": \"rain\"}\n");
  WriteFileForTest(in_ / "broken.jsonl", "{\"text\": \"rain\"}\n{\"text\":\n");
  const std::pair<const char*, const char*> corpora[] = {{"empty.jsonl", "no documents"},
                                                         {"short.jsonl", "gives no rows"},
                                                         {"broken.jsonl", "line 2"},
                                                         {"none.jsonl", "does not exist"}};
  for (const auto& [name, part] : corpora) {
    Arguments arguments = Extract(road_ / "model");
    arguments[4] = (in_ / name).string();
    ExpectRefused(arguments, 1, {name, part});
  }
}

TEST_F(BadInput, LayerOutOfRange) {
  for (const char* layer : {"3", "-1", "1000"}) {
    Arguments arguments = Extract(road_ / "model");
    arguments[6] = layer;
    ExpectRefused(arguments, 2, {"--layer", "0-based", std::string("found ") + layer, "wanted 0 to 2"});
    ExpectRefused({"prepare-ar", "--model", road_ / "model", "--layer", layer, "--out", Out("ar")}, 2,
                  {"--layer", std::string("found ") + layer, "wanted 0 to 2"});
  }
  ExpectRefused(Train("ar", "layer=9"), 2, {"layer", "found 9", "wanted 1"});
}

TEST_F(BadInput, UnknownRecipeKey) {
  ExpectRefused(Train("av", "batch_sise=3"), 2, {"batch_sise", "Did you mean \"train_av.batch_size\"?"});
  const std::string recipe = Copy("recipe.yaml", "recipe.yaml");
  Change(recipe, [&](std::string& text) {
    for (size_t at = 0; (at = text.find(", lr:", at)) != std::string::npos;) text.replace(at, 5, ", lrr:");
  });
  ExpectRefused({"train", "ar", recipe, "--set", "train_ar.out=" + Out("run")}, 2,
                {"recipe.yaml:1", "unknown key \"lrr\"", "Did you mean \"lr\"?"});
}

// A limit on file sizes fails writes as a full disk does. The signal that goes with it is ignored, as a trap of the
// shell passes on.
TEST_F(BadInput, FullDisk) {
  const std::pair<const char*, Arguments> commands[] = {
      {"base.parquet", Extract(road_ / "model")},
      {"split", {"split", "--input", road_ / "base.parquet", "--out-dir", Out("split")}},
      {"label", {"label", "--input", road_ / "split/av_sft_raw.parquet", "--out", Out("label.parquet")}},
      {"build",
       {"build", "--stage", "av_sft", "--model", road_ / "model", "--input", road_ / "av_sft_explained.parquet",
        "--out", Out("build.parquet")}},
      {"shuffle", {"shuffle", "--input", road_ / "av_sft_ordered.parquet", "--out", Out("shuffle.parquet")}},
      {"vectors",
       {"reconstruct", "--ar", road_ / "pair/ar", "--base", road_ / "model", "--input", road_ / "heldout.parquet",
        "--out", Out("vectors.parquet")}},
      {"pair",
       {"pair", "--av", road_ / "runs/av/final", "--ar", road_ / "runs/ar/final", "--base", road_ / "model", "--out",
        Out("pair")}},
      {"prepared", {"prepare-ar", "--model", road_ / "model", "--layer", "1", "--out", Out("prepared")}},
      {"converted", {"convert", NLA_SOURCE_DIR "/tests/weights/golden/tiny_llama.gguf", Out("converted")}},
  };
  for (const auto& [name, arguments] : commands) {
    std::string line = "trap '' XFSZ; ulimit -f 4; " NLA_PROGRAM;
    for (const std::string& argument : arguments) line += " " + argument;
    const RunResult run = RunShell("bash -c \"" + line + " --log-level error\"");
    SCOPED_TRACE(name);
    ExpectOneLine(run, 1, {});
    EXPECT_THAT(Listing(out_.path()), testing::IsEmpty());
  }
}

// A run directory stays, to go on with, but without a torn checkpoint or a half-written model.
TEST_F(BadInput, FullDiskInTraining) {
  const std::string line = "trap '' XFSZ; ulimit -f 4; " NLA_PROGRAM " train ar " + (road_ / "recipe.yaml") +
                           " --set train_ar.out=" + Out("run") + " --log-level error";
  const RunResult run = RunShell("bash -c \"" + line + "\"");
  ExpectOneLine(run, 1, {"state.safetensors"});
  EXPECT_FALSE(fs::exists(Out("run") + "/final"));
  for (const auto& entry : fs::recursive_directory_iterator(out_.path())) {
    EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr(".tmp"))) << run.err;
    EXPECT_NE(entry.path().extension(), ".safetensors");
  }
  EXPECT_EQ(RunNla({"train", "ar", road_ / "recipe.yaml", "--set", "train_ar.out=" + Out("run"), "--resume"}).code, 0);
}

}  // namespace
}  // namespace nla
