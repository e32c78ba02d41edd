// The interpreter of chat templates against jinja2 (tools/goldens/jinja.py), and its limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "nla/error.h"
#include "text/jinja/json.h"
#include "text/jinja/template.h"
#include "text/oracle_testing.h"

namespace nla::jinja {
namespace {

using nla::testing::ErrorOf;
using nlohmann::ordered_json;
using ::testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(NLA_SOURCE_DIR) / "tests/text/golden";
constexpr Date kDate = {.year = 2025, .month = 3, .day = 9};

Text Render(std::string_view source, const ordered_json& variables = ordered_json::object()) {
  const Template parsed = Template::Parse(source, "t.jinja");
  Context context("t.jinja", {}, kDate);
  std::vector<std::pair<std::string, Value>> values;
  for (const auto& [name, value] : variables.items()) {
    values.emplace_back(name, FromJson(context, value, Origin::kMessage));
  }
  return parsed.Render(context, values);
}

std::string RenderUtf8(std::string_view source, const ordered_json& variables = ordered_json::object()) {
  return Render(source, variables).Utf8();
}

TEST(JinjaTest, EqualsJinja2OnTheGolden) {
  std::ifstream in(kGolden / "jinja.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  const ordered_json variables = ordered_json::parse(line)["variables"];
  int rendered = 0;
  int refused = 0;
  while (std::getline(in, line)) {
    const ordered_json record = ordered_json::parse(line);
    const std::string source = record["source"];
    SCOPED_TRACE(source);
    try {
      const std::string text = RenderUtf8(source, variables);
      if (record.contains("raises")) {
        ADD_FAILURE() << "gives \"" << text << "\", jinja2 raises " << record["raises"];
      } else {
        EXPECT_EQ(text, record["text"].get<std::string>());
      }
      ++rendered;
    } catch (const Error& error) {
      if (!record.contains("raises")) ADD_FAILURE() << error.what() << "\n  jinja2: " << record["text"];
      EXPECT_THAT(error.what(), HasSubstr("t.jinja: line "));
      ++refused;
    }
  }
  EXPECT_GT(rendered, 700);
  EXPECT_GT(refused, 100);
}

struct Refusal {
  const char* source;
  const char* where;
  const char* named;
};

TEST(JinjaTest, NamesWhatItDoesNotSupportWhenItLoads) {
  const std::vector<Refusal> refusals = {
      {"x\n\n{% include 'f' %}", "line 3", "{% include %}"},
      {"{% import 'f' as f %}", "line 1", "{% import %}"},
      {"{% from 'f' import g %}", "line 1", "{% from %}"},
      {"{% extends 'f' %}", "line 1", "{% extends %}"},
      {"{% block b %}{% endblock %}", "line 1", "{% block %}"},
      {"{% do x %}", "line 1", "{% do %}"},
      {"{% autoescape true %}{% endautoescape %}", "line 1", "{% autoescape %}"},
      {"\n{% for x in y recursive %}{% endfor %}", "line 2", "recursive"},
      {"{{ a\n | groupby('x') }}", "line 2", "groupby"},
      {"{{ a | map('groupby', 'x') }}", "line 1", "groupby"},
      {"{{ a | selectattr('x', 'escaped') }}", "line 1", "escaped"},
      {"{{ a is escaped }}", "line 1", "escaped"},
      {"{{ a | map('upper') if a | xmlattr else c }}", "line 1", "xmlattr"},
      {"{{ a.encode('utf-8') }}", "line 1", "encode()"},
      {"{{ cycler(1) }}", "line 1", "cycler()"},
      {"{{ f(*a) }}", "line 1", "unpacked arguments"},
      {"{{ f(**a) }}", "line 1", "unpacked arguments"},
      {"{{ 0x1F }}", "line 1", "0x1F"},
      {"{{ '\\N{BULLET}' }}", "line 1", "\\N{BULLET}"},
      {"{{ 99999999999999999999 }}", "line 1", "99999999999999999999"},
      {"{% for x in y %}{% if loop.changed(x) %}{% endif %}{% endfor %}", "line 1", "loop.changed"},
      {"{{ a[1:2, 3] }}", "line 1", "subscript"},
  };
  for (const Refusal& refusal : refusals) {
    const std::string message = ErrorOf([&] { Template::Parse(refusal.source, "dir/t.jinja"); });
    EXPECT_THAT(message, HasSubstr("dir/t.jinja: " + std::string(refusal.where))) << refusal.source;
    EXPECT_THAT(message, HasSubstr(refusal.named)) << refusal.source;
  }
}

std::string Repeated(const std::string& text, int count) {
  std::string made;
  for (int i = 0; i < count; ++i) made += text;
  return made;
}

std::string ManyNames(int count) {
  std::string made;
  for (int i = 0; i < count; ++i) made += "{% set n" + std::to_string(i) + " = 1 %}";
  return made;
}

// Each would take memory, time or stack without end.
TEST(JinjaTest, HostileTemplatesEndInAnErrorSoon) {
  const std::vector<std::string> sources = {
      "{{ " + Repeated("(", 1000) + "1" + Repeated(")", 1000) + " }}",
      "{{ " + Repeated("[", 100000) + " }}",
      "{{ " + Repeated("-", 100000) + "1 }}",
      "{{ " + Repeated("not ", 100000) + "1 }}",
      "{{ 1" + Repeated(" + 1", 100000) + " }}",
      "{{ x" + Repeated(".x", 100000) + " }}",
      "{{ x" + Repeated("|upper", 100000) + " }}",
      "{{ 1" + Repeated(" if 1 else 1", 100000) + " }}",
      Repeated("{% if 1 %}", 1000) + Repeated("{% endif %}", 1000),
      Repeated("{% for x in y %}", 10000),
      "{{ " + Repeated("{'a': ", 1000) + "1" + Repeated("}", 1000) + " }}",
      "{% for a in range(10 ** 9) %}{% endfor %}",
      "{{ range(-9223372036854775807, 9223372036854775807, 1)|list }}",
      "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
      "{% set x = 'a' %}" + Repeated("{% set x = x ~ x %}", 60) + "{{ x }}",
      "{% set x = [1] %}" + Repeated("{% set x = x + x %}", 60) + "{{ x }}",
      "{{ 'a' * 10 ** 15 }}",
      "{{ [1] * 10 ** 15 }}",
      "{{ 'aaaaaaaaaa'.replace('', 'b' * 1000000) }}",
      "{{ '%999999999s' % 'a' }}",
      "{{ '{:999999999}'.format('a') }}",
      "{{ 'a'.center(10 ** 12) }}",
      "{{ 'a' | indent(10 ** 12) }}",
      "{{ [1] | tojson(indent=10 ** 12) }}",
      "{{ [1] | batch(10 ** 12, 'x') | list }}",
      "{{ ('a' * 1000000) | list | join('a' * 1000000) }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro a(n) %}{% if n %}{{ a(n - 1) }}{{ a(n - 1) }}{% endif %}{% endmacro %}{{ a(40) }}",
      "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ "
      "n() }}",
      "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
      "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
      "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x == ns.x }}{{ ns.x | tojson }}",
      "{% set ns = namespace(x='a') %}{% for i in range(100000) %}{% set ns.x = ns.x ~ 'aaaaaaaaaaaaaaaa' %}{% endfor "
      "%}",
      "{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}",
      "{% for i in range(10000) %}{% filter upper %}{{ 'a' * 100000 }}{% endfilter %}{% endfor %}",
      "{{ ('a' * 4000000).count('a' * 2000000 ~ 'b') }}" + Repeated("{{ 'a' * 4000000 }}", 20),
      "{% set s = 'a' * 8000000 %}{% set t = 'a' * 8000000 %}{% for i in range(100000) %}{{ s == t }}{% endfor %}",
      "{% set s = 'a' * 8000000 %}{% for i in range(100000) %}{{ 'b' in s }}{% endfor %}",
      "{% set l = range(100000)|list %}{% for i in range(100000) %}{{ -1 in l }}{% endfor %}",
      "{{ range(100000) | unique | list }}",
      "{{ range(100000) | map('string') | map('center', 100000) | join }}",
      "{{ 2 ** 63 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ -9223372036854775807 - 2 }}",
      "{{ (-9223372036854775807 - 1) // -1 }}",
      "{{ (-9223372036854775807 - 1) | abs }}",
      "{{ '%d' % 1e30 }}",
      "{{ 1e30 | int }}",
      "{{ '99999999999999999999' | int }}",
      std::string(2 << 20, 'x'),
      ManyNames(20000) + Repeated("{% if x %}{% endif %}", 20000),
      ManyNames(20000) + "{% for i in range(100000) %}{{ x }}{% endfor %}",
  };
  for (const std::string& source : sources) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_NE(ErrorOf([&] { RenderUtf8(source); }), "") << source.substr(0, 200);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took.count(), 20) << source.substr(0, 200);  // about a second each on an idle machine
  }
}

TEST(JinjaTest, HarmlessExtremesRender) {
  EXPECT_EQ(RenderUtf8("{{ (-9223372036854775807 - 1) % -1 }}"), "0");
  EXPECT_EQ(RenderUtf8("{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}"), "a");
  EXPECT_EQ(RenderUtf8("{{ 'abc'[::-9223372036854775807] }}"), "c");
  EXPECT_EQ(RenderUtf8("{{ '' * 10 ** 15 }}{{ 'a' * -5 }}"), "");
  EXPECT_EQ(RenderUtf8("{{ range(9223372036854775800, 9223372036854775807, 5) | join(' ') }}"),
            "9223372036854775800 9223372036854775805");
  EXPECT_EQ(RenderUtf8("{{ x }}", {{"x", "a\xFF\xC3("}}), "a\uFFFD\uFFFD(");
  EXPECT_EQ(RenderUtf8("{% set ns = namespace() %}{% set ns.x = ns %}{% macro m() %}{% endmacro %}{% set ns.m = m %}"),
            "");
}

// Every sign of the message, and no other, is marked as one.
TEST(JinjaTest, MarksFollowEveryOperation) {
  const ordered_json variables = {{"m", "XyZ\tX"}, {"l", {"P", "Q"}}, {"d", {{"k", "V"}}}, {"n", 5}};
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a{{ m }}b", ".XyZ\tX."},
      {"{{ 'a' ~ m ~ 'b' }}", ".XyZ\tX."},
      {"{{ 'a' + m[1:3] }}", ".yZ"},
      {"{{ m | upper }}{{ m.lower() }}{{ m | title }}{{ m.capitalize() }}", "XYZ\tXxyz\txXyz\tXXyz\tx"},
      {"{{ m | replace('X', 'w') }}", ".yZ\t."},
      {"{{ 'w' | replace('w', m) }}", "XyZ\tX"},
      {"{{ m.split() | join('-') }}", "XyZ.X"},
      {"{{ m.split('y') }}", "['X', 'Z\\tX']"},
      {"{{ m | tojson }}", "\"XyZ\\tX\""},
      {"{{ d | tojson }}", "{\"k\": \"V\"}"},
      {"{{ l | join(', ') }}", "P..Q"},
      {"{% for c in m %}{{ c }}-{% endfor %}", "X.y.Z.\t.X."},
      {"{% set s %}a{{ m }}{% endset %}{{ s }}", ".XyZ\tX"},
      {"{% filter upper %}a{{ m }}{% endfilter %}", ".XYZ\tX"},
      {"{% macro f(x) %}a{{ x }}{% endmacro %}{{ f(m) ~ f('b') }}", ".XyZ\tX.."},
      {"{{ '%s.' % m }}{{ 'b{}'.format(m) }}{{ 'a%s' | format(m) }}", "XyZ\tX..XyZ\tX.XyZ\tX"},
      {"{{ m | indent(2, true) }}", "  XyZ\tX"},
      {"{{ m | reverse }}{{ m[::-1] }}", "X\tZyXX\tZyX"},
      {"{{ m.partition('y')[2] ~ m.rsplit(none, 1)[1] ~ m.strip('X') }}", "Z\tXXyZ\t"},
      {"{{ n }}{{ 'a' * 2 }}{{ m[0] * 2 }}", "5..XX"},
      {"{{ 'a' if m else 'b' }}{{ m or 'c' }}{{ '' or 'c' }}", ".XyZ\tX."},
      {"{% set ns = namespace(v='a') %}{% set ns.v = ns.v ~ m %}{{ ns.v }}", ".XyZ\tX"},
      {"{{ {'a': m, 'b': 'c'}.values() | join }}", "XyZ\tX."},
      {"{{ d.items() | map('first') | join }}{{ d | list | first }}", "kk"},
      {"{{ [m, 'a'] | map('upper') | sort | join }}", ".XYZ\tX"},
      {"{{ m.ljust(6, '.') }}{{ m | trim('X') }}", "XyZ\tX.yZ\t"},
  };
  for (const auto& [source, wanted] : cases) {
    const Text text = Render(source, variables);
    std::string marked;
    for (size_t i = 0; i < text.size(); ++i) {
      marked += text.OriginAt(i) == Origin::kMessage ? text.Slice(i, 1).Utf8() : ".";
    }
    EXPECT_EQ(marked, wanted) << source;
  }
}

TEST(JinjaTest, DatesAreTheCalendars) {
  const auto format = [](int year, int month, int day, std::string_view pattern) {
    std::string problem;
    return FormatTime({.year = year, .month = month, .day = day}, pattern, problem).value_or("!" + problem);
  };
  EXPECT_EQ(format(2024, 2, 29, "%A %d %B %Y %j %w %u"), "Thursday 29 February 2024 060 4 4");
  EXPECT_EQ(format(1900, 12, 31, "%a %-d %b %y %j"), "Mon 31 Dec 00 365");
  EXPECT_EQ(format(2025, 1, 5, "%-d/%-m %u %F %D"), "5/1 7 2025-01-05 01/05/25");
  EXPECT_EQ(format(2025, 1, 5, "%Q"), "!%Q");
  EXPECT_EQ(format(2025, 1, 5, "%"), "!%");
}

}  // namespace
}  // namespace nla::jinja
