// Zip archives as NumPy writes them (.npz): the list of members, and their bytes. Stored and deflated members, zip64.
// No encryption, no archives in parts. Internal to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/input_bytes.h"

namespace nla {

struct ZipMember {
  std::string name;
  uint16_t method = 0;  // 0: stored, 8: deflated
  uint32_t crc = 0;
  uint64_t packed = 0;  // bytes in the archive
  uint64_t size = 0;
  uint64_t header = 0;  // where its local header begins
};

// From the directory at the archive's end. Every place and length is checked against the archive.
std::vector<ZipMember> ListZip(const InputBytes& archive);

// The member's bytes: a view of the archive where they are stored, else inflated to a scratch file on disk. The
// checksum is verified either way.
InputBytes ReadZipMember(const InputBytes& archive, const ZipMember& member);

}  // namespace nla
