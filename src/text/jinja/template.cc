// Holds the tree; parsing and rendering are the parser's and the interpreter's.
#include "text/jinja/template.h"

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"
#include "text/jinja/scoping.h"

namespace nla::jinja {

struct Template::Impl {
  std::string where;
  Body body;
  OwnNames own_names;
};

Template::Template(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Template Template::Parse(std::string_view source, const std::string& where) {
  Body body = ParseTemplate(source, where);
  auto impl = std::make_unique<Impl>(Impl{.where = where, .body = std::move(body), .own_names = {}});
  impl->own_names = FindOwnNames(impl->body, where);  // keyed by bodies that now stay where they are
  return Template(std::move(impl));
}

Text Template::Render(Context& context, const std::vector<std::pair<std::string, Value>>& variables) const {
  return Interpreter(context, impl_->own_names).Run(impl_->body, variables);
}

const std::string& Template::where() const { return impl_->where; }

}  // namespace nla::jinja
