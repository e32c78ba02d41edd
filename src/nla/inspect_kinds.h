// The functions behind the table of inspect.cc, by subject. Internal to inspection.
#pragma once

#include "data/norm_statistics.h"
#include "nla/inspect.h"

namespace nla {

// inspect_weights.cc
void InspectSafetensors(const InspectSubject& subject, Inspection& out);
void InspectGguf(const InspectSubject& subject, Inspection& out);
void InspectCheckpoint(const InspectSubject& subject, Inspection& out);
// inspect_pair.cc
void InspectRole(const InspectSubject& subject, Inspection& out);
void InspectPair(const InspectSubject& subject, Inspection& out);
// inspect_text.cc
void InspectTokenizer(const InspectSubject& subject, Inspection& out);
void InspectChatTemplate(const InspectSubject& subject, Inspection& out);
// inspect_data.cc
void InspectDataset(const InspectSubject& subject, Inspection& out);
void InspectActivations(const InspectSubject& subject, Inspection& out);
void InspectLines(const InspectSubject& subject, Inspection& out);
void InspectModelSidecar(const InspectSubject& subject, Inspection& out);
void InspectDatasetSidecar(const InspectSubject& subject, Inspection& out);
bool IsDataset(const std::filesystem::path& path);

// Facts that several kinds share.
void AddRowFacts(int64_t rows, int64_t width, const NormSummary& norms, Inspection& out);

}  // namespace nla
