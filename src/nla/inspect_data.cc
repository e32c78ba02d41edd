// Datasets, activation files, lines of text, and dataset sidecars alone.
#include <fmt/format.h>

#include "base/fail.h"
#include "data/activation_format.h"
#include "data/activation_table.h"
#include "data/corpus.h"
#include "data/dataset_sidecar.h"
#include "nla/inspect_kinds.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

struct Measured {
  int64_t rows = 0;
  int64_t width = 0;
};

void CompareWithSidecar(const fs::path& path, const char* field, int64_t found, int64_t wanted) {
  if (found == wanted) return;
  Fail({.where = fmt::format("{}: {}", SidecarPath(path).string(), field),
        .what = "does not agree with the file",
        .found = std::to_string(found),
        .wanted = std::to_string(wanted),
        .mend = "File and sidecar are of different runs: make the dataset again"});
}

// Reads every row: each is checked for width, NaN, Inf and zeros.
Measured Measure(const fs::path& path, Inspection& out) {
  ActivationReader reader = ActivationReader::Open(path);
  NormStatistics norms;
  out.Try([&] {
    for (auto rows = reader.Next(1024); !rows.empty(); rows = reader.Next(1024)) {
      for (const ActivationRow& row : rows) norms.Add(row.activation);
    }
  });
  AddRowFacts(reader.row_count(), reader.d_model(), norms.Summary(), out);
  return {reader.row_count(), reader.d_model()};
}

void AddDatasetFacts(const DatasetSidecar& sidecar, Inspection& out) {
  out.Fact("dataset_id", sidecar.dataset_id);
  out.Fact("stage", sidecar.stage);
  out.Fact("base_model", sidecar.base_model);
  out.Fact("layer", sidecar.layer_index);
  if (!FindExtra(sidecar, "norm_p50").empty()) {
    out.Fact("recorded norms", fmt::format("5% {}, median {}, 75% {}, 95% {}", FindExtra(sidecar, "norm_p5"),
                                           FindExtra(sidecar, "norm_p50"), FindExtra(sidecar, "norm_p75"),
                                           FindExtra(sidecar, "norm_p95")));
  }
}

void InspectWithSidecar(const InspectSubject& subject, Inspection& out) {
  std::optional<Measured> measured;
  out.Try([&] { measured = Measure(subject.path, out); });
  out.Try([&] {
    const DatasetSidecar sidecar = ReadDatasetSidecar(subject.path);
    AddDatasetFacts(sidecar, out);
    if (!measured) return;
    CompareWithSidecar(subject.path, "row_count", sidecar.row_count, measured->rows);
    if (measured->rows > 0) CompareWithSidecar(subject.path, "extraction.d_model", sidecar.d_model, measured->width);
  });
}

}  // namespace

void AddRowFacts(int64_t rows, int64_t width, const NormSummary& norms, Inspection& out) {
  out.Fact("rows", rows);
  out.Fact("d_model", width);
  if (norms.rows == 0) return;
  out.Fact("norms", fmt::format("{:.6g} to {:.6g}; 5% {:.6g}, median {:.6g}, 75% {:.6g}, 95% {:.6g}", norms.min,
                                norms.max, norms.p5, norms.p50, norms.p75, norms.p95));
  if (norms.rows > 1 && norms.max - norms.min <= 1e-3 * norms.max) {
    out.Fact("note", "all norms are equal: normalised vectors, which verbalize takes with --force alone");
  }
}

// Parquet with the columns or the sidecar of a dataset, or damaged beyond telling.
bool IsDataset(const fs::path& path) {
  if (!fs::is_regular_file(path) || FormatOf(path) != ActivationFormat::kParquet) return false;
  if (fs::exists(SidecarPath(path))) return true;
  try {
    return ActivationReader::Open(path).has_layer();
  } catch (const Error&) {
    return true;
  }
}

void InspectDataset(const InspectSubject& subject, Inspection& out) { InspectWithSidecar(subject, out); }

void InspectActivations(const InspectSubject& subject, Inspection& out) {
  if (const auto format = FormatOf(subject.path)) out.Fact("format", NameOf(*format));
  if (fs::exists(SidecarPath(subject.path))) return InspectWithSidecar(subject, out);
  out.Try([&] { Measure(subject.path, out); });
}

// Activations, else a corpus; a file that is neither has the first one's problem.
void InspectLines(const InspectSubject& subject, Inspection& out) {
  Inspection vectors;
  InspectActivations(subject, vectors);
  vectors.kind = "activations";
  const bool opened =
      std::any_of(vectors.facts.begin(), vectors.facts.end(), [](const auto& fact) { return fact.first == "rows"; });
  if (opened) {
    out = vectors;
    return;
  }
  try {
    CorpusReader corpus({subject.path});
    int64_t documents = 0;
    int64_t bytes = 0;
    for (auto document = corpus.Next(); document; document = corpus.Next()) {
      ++documents;
      bytes += static_cast<int64_t>(document->text.size());
    }
    out.kind = "corpus";
    out.Fact("documents", documents);
    out.Fact("bytes of text", bytes);
  } catch (const Error&) {
    out.problems = vectors.problems;
  }
}

void InspectDatasetSidecar(const InspectSubject& subject, Inspection& out) {
  out.Try([&] {
    const std::string name = subject.path.string();
    const fs::path file = name.substr(0, name.size() - std::string_view(".nla_meta.yaml").size());
    const DatasetSidecar sidecar = ReadDatasetSidecar(file);
    AddDatasetFacts(sidecar, out);
    out.Fact("rows", sidecar.row_count);
    out.Fact("d_model", sidecar.d_model);
    out.Fact("its file", fs::exists(file) ? "is there; inspect it to compare" : "is not there");
  });
}

}  // namespace nla
