// Which of the formats that activations come in a file is: told by its bytes, or else by its name.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace nla {

enum class ActivationFormat { kParquet, kNpy, kNpz, kSafetensors, kJsonl };

const char* NameOf(ActivationFormat format);  // "Parquet", ".npy" …

// By the ending alone.
std::optional<ActivationFormat> FormatByEnding(const std::filesystem::path& path);
// By the first bytes, for a file of `size` bytes.
std::optional<ActivationFormat> FormatByMagic(std::span<const std::byte> head, uint64_t size);
// By the bytes, else by the ending (a damaged file is still told by its name), else nullopt.
std::optional<ActivationFormat> FormatOf(const std::filesystem::path& path);

}  // namespace nla
