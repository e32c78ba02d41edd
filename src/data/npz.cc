// NumPy's .npz: a zip archive of .npy files.
#include <fmt/format.h>

#include "base/fail.h"
#include "data/npy.h"
#include "data/zip.h"

namespace nla {
namespace {

constexpr std::string_view kEnding = ".npy";

std::string WithoutEnding(std::string name) {
  if (name.ends_with(kEnding)) name.resize(name.size() - kEnding.size());
  return name;
}

}  // namespace

std::unique_ptr<ActivationSource> OpenNpz(const InputBytes& file, const std::string& column) {
  const std::vector<ZipMember> members = ListZip(file);
  ColumnNames names{.where = file.name, .kind = "member", .all = {}, .vectors = {}};
  for (const ZipMember& member : members) {
    names.all.push_back(WithoutEnding(member.name));
    if (member.name.ends_with(kEnding)) names.vectors.push_back(names.all.back());
  }
  const ZipMember& member = members[FindVectorColumn(names, WithoutEnding(column))];
  return OpenMatrix(ParseNpy(ReadZipMember(file, member)));
}

}  // namespace nla
