// A chat template ready to be rendered: the subset of Jinja that docs/formats/chat_templates.md lists, as transformers
// sets it up (trim_blocks, lstrip_blocks, loop controls, the `generation` tag, its tojson, raise_exception,
// strftime_now). No file, module or attribute of the host is within a template's reach.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/context.h"

namespace nla::jinja {

// Immutable; safe to share between threads. Cheap to move, not copyable.
class Template {
 public:
  // What is broken or not supported is an error that names its line; `where` names the template in errors.
  static Template Parse(std::string_view source, const std::string& where);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  // `context` made the variables and holds the limits; it serves one rendering.
  Text Render(Context& context, const std::vector<std::pair<std::string, Value>>& variables) const;
  const std::string& where() const;

 private:
  struct Impl;
  explicit Template(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace nla::jinja
