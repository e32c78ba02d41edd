// SentencePiece vocabularies have a score a token; tokenizer.json wants merges in order. Rebuilds them.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace nla {

constexpr const char* kSpace = "\u2581";  // SentencePiece's sign for a space

// Every way to put a token together from two others, in the order of transformers' converter: by score, then by length
// (in characters) of the left and of the right part, all descending; ties by the ids of whole, left and right.
// `scores` has one number a token, finite. Spellings that occur twice and empty ones take no part.
std::vector<std::pair<std::string, std::string>> RebuildMerges(std::span<const std::string> tokens,
                                                               std::span<const float> scores);

}  // namespace nla
