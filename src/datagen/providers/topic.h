// The words that say what a text is about: frequent in it, recent, and rare in English at large.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "datagen/providers/pieces.h"

namespace nla {

// At most `count` words of pieces, most salient first, none of which shares a stem with a word of [said_begin, end).
std::vector<std::string> TopicWords(const std::vector<Piece>& pieces, size_t said_begin, int64_t count);

// Function words and others that say nothing of a text's matter; lower case ASCII.
bool IsStopWord(std::string_view word);

}  // namespace nla
