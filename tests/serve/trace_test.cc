// Traces as values: the caller's header, OTLP's JSON, and where they go by option and environment.
#include "serve/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "nla/error.h"
#include "serve/collector_testing.h"
#include "serve/trace_settings.h"

namespace nla::serve {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const std::string kTrace = "0af7651916cd43dd8448eb211c80319c";
const std::string kParent = "b7ad6b7169203331";

TEST(TraceParentTest, ReadsWhatTraceContextAllows) {
  const auto parent = ParseTraceParent("00-" + kTrace + "-" + kParent + "-01");
  ASSERT_TRUE(parent);
  EXPECT_EQ(parent->trace_id, kTrace);
  EXPECT_EQ(parent->span_id, kParent);
  EXPECT_TRUE(parent->sampled);
  EXPECT_FALSE(ParseTraceParent("00-" + kTrace + "-" + kParent + "-00")->sampled);
  EXPECT_FALSE(ParseTraceParent("00-" + kTrace + "-" + kParent + "-fe")->sampled);
  EXPECT_TRUE(ParseTraceParent("00-" + kTrace + "-" + kParent + "-0b")->sampled);
  // Later versions may be longer.
  EXPECT_TRUE(ParseTraceParent("01-" + kTrace + "-" + kParent + "-01"));
  EXPECT_TRUE(ParseTraceParent("cc-" + kTrace + "-" + kParent + "-01-what-comes-later"));
}

TEST(TraceParentTest, RefusesTheRest) {
  for (const std::string& header :
       {std::string(), std::string("x"), "00-" + kTrace + "-" + kParent, "00-" + kTrace + "-" + kParent + "-1",
        "00-" + kTrace + "-" + kParent + "-01-more", "01-" + kTrace + "-" + kParent + "-01more",
        "ff-" + kTrace + "-" + kParent + "-01", "00-" + std::string(32, '0') + "-" + kParent + "-01",
        "00-" + kTrace + "-" + std::string(16, '0') + "-01", "00-" + kTrace + "_" + kParent + "-01",
        "00-0AF7651916cd43dd8448eb211c80319c-" + kParent + "-01", "00-" + kTrace + "-b7ad6b716920333g-01",
        "00-" + kTrace + "-" + kParent + "-0g",
        "00-" + kTrace + "-" + kParent + "-01, 00-" + kTrace + "-" + kParent + "-01"}) {
    EXPECT_FALSE(ParseTraceParent(header)) << header;
  }
}

TEST(TraceTest, IdsAreFreshAndOfTheRightLength) {
  EXPECT_THAT(NewTraceId(), testing::MatchesRegex("[0-9a-f]{32}"));
  EXPECT_THAT(NewSpanId(), testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_NE(NewTraceId(), NewTraceId());
  EXPECT_NE(NewSpanId(), NewSpanId());
}

TEST(TraceTest, SpansAreWrittenAsOtlpMapsThemToJson) {
  std::vector<Span> spans(2);
  spans[0] = {
      .trace_id = kTrace, .id = "1111111111111111", .parent_id = kParent, .trace_state = "a=b", .name = "GET /x"};
  spans[0].kind = SpanKind::kServer;
  spans[0].remote_parent = true;
  spans[0].begin_ns = 1700000000000000001;
  spans[0].end_ns = 1700000000000000002;
  spans[0].failed = true;
  spans[0].attributes = {{"n", int64_t{9007199254740993}},
                         {"s", std::string(3000, 'x')},
                         {"bad", std::string("\xff")},
                         {"list", std::vector<std::string>{"stop", "length"}}};
  spans[1] = {.trace_id = kTrace, .id = "2222222222222222", .name = "part"};
  const json whole = json::parse(OtlpText({{"service.name", "mine"}}, spans));
  ASSERT_EQ(whole.at("resourceSpans").size(), 1U);
  const json& resource = whole["resourceSpans"][0];
  EXPECT_EQ(AttributesOf(resource.at("resource"))["service.name"], "mine");
  const json& scope = resource.at("scopeSpans").at(0);
  EXPECT_EQ(scope.at("scope").at("name"), "nla.serve");
  const json& first = scope.at("spans").at(0);
  EXPECT_EQ(first.at("traceId"), kTrace);
  EXPECT_EQ(first.at("parentSpanId"), kParent);
  EXPECT_EQ(first.at("traceState"), "a=b");
  EXPECT_EQ(first.at("kind"), 2);
  EXPECT_EQ(first.at("flags"), 0x301);
  EXPECT_EQ(first.at("startTimeUnixNano"), "1700000000000000001");
  EXPECT_EQ(first.at("status"), json({{"code", 2}}));
  const json attributes = AttributesOf(first);
  EXPECT_EQ(attributes["n"], "9007199254740993");
  EXPECT_EQ(attributes["s"].get<std::string>().size(), 1024U);
  EXPECT_EQ(attributes["bad"], "\xEF\xBF\xBD");
  EXPECT_EQ(attributes["list"]["values"][1]["stringValue"], "length");
  const json& second = scope["spans"][1];
  EXPECT_FALSE(second.contains("parentSpanId"));
  EXPECT_EQ(second["kind"], 1);
  EXPECT_EQ(second["flags"], 0x101);
  EXPECT_EQ(second["status"], json::object());
}

class TraceSettingsTest : public testing::Test {
 protected:
  TraceSettings Read(const std::string& otlp = "") {
    return ReadTraceSettings(otlp, [this](const char* name) -> const char* {
      const auto found = variables_.find(name);
      return found == variables_.end() ? nullptr : found->second.c_str();
    });
  }
  std::string Refusal(const std::string& otlp = "") {
    try {
      Read(otlp);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  }
  std::string Attribute(const std::string& name) {
    for (const auto& [key, value] : Read().resource) {
      if (key == name) return std::get<std::string>(value);
    }
    return "";
  }
  std::map<std::string, std::string> variables_;
};

TEST_F(TraceSettingsTest, TheOptionGoesBeforeTheVariables) {
  EXPECT_FALSE(Read().on());
  EXPECT_EQ(Read("http://h:4318").url, "http://h:4318/v1/traces");
  EXPECT_EQ(Read("https://h/otlp/").url, "https://h/otlp/v1/traces");
  variables_["OTEL_EXPORTER_OTLP_ENDPOINT"] = "";
  EXPECT_FALSE(Read().on());
  variables_["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://general:4318/";
  EXPECT_EQ(Read().url, "http://general:4318/v1/traces");
  variables_["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = "http://special:4318/as/it/is";
  EXPECT_EQ(Read().url, "http://special:4318/as/it/is");
  EXPECT_EQ(Read("http://h:4318").url, "http://h:4318/v1/traces");
  variables_["OTEL_TRACES_EXPORTER"] = "none";
  EXPECT_FALSE(Read().on());
  EXPECT_TRUE(Read("http://h:4318").on());
  variables_.erase("OTEL_TRACES_EXPORTER");
  variables_["OTEL_SDK_DISABLED"] = "TRUE";
  EXPECT_FALSE(Read().on());
}

TEST_F(TraceSettingsTest, NamesHeadersAndTimesAreTheEnvironments) {
  variables_["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://h:4318";
  EXPECT_EQ(Attribute("service.name"), "nla");
  EXPECT_EQ(Read().timeout_seconds, 10);
  variables_["OTEL_RESOURCE_ATTRIBUTES"] = "service.name=other, deployment.environment.name=te%20st";
  EXPECT_EQ(Attribute("service.name"), "other");
  EXPECT_EQ(Attribute("deployment.environment.name"), "te st");
  variables_["OTEL_SERVICE_NAME"] = "mine";
  EXPECT_EQ(Attribute("service.name"), "mine");
  variables_["OTEL_EXPORTER_OTLP_HEADERS"] = "authorization=Bearer%20k, x=1=2,";
  EXPECT_THAT(Read().headers, ElementsAre(Pair("authorization", "Bearer k"), Pair("x", "1=2")));
  variables_["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] = "y=3";
  EXPECT_THAT(Read().headers, ElementsAre(Pair("y", "3")));
  variables_["OTEL_EXPORTER_OTLP_TIMEOUT"] = "2500";
  EXPECT_EQ(Read().timeout_seconds, 2.5);
}

TEST_F(TraceSettingsTest, RefusesWhatItCannotUse) {
  EXPECT_THAT(Refusal("collector:4318"), HasSubstr("--otlp: is not the address of a collector: found collector:4318"));
  EXPECT_NE(Refusal("http://"), "");
  variables_["OTEL_EXPORTER_OTLP_ENDPOINT"] = "ftp://h";
  EXPECT_THAT(Refusal(), HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT: is not"));
  variables_["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://h:4318";
  variables_["OTEL_EXPORTER_OTLP_HEADERS"] = "secret";
  EXPECT_THAT(Refusal(), testing::AllOf(HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"), testing::Not(HasSubstr("secret"))));
  variables_["OTEL_EXPORTER_OTLP_HEADERS"] = "a=b%0d%0ac";
  EXPECT_NE(Refusal(), "");
  variables_["OTEL_EXPORTER_OTLP_HEADERS"] = "";
  for (const char* timeout : {"0", "-1", "1s", "99999999999"}) {
    variables_["OTEL_EXPORTER_OTLP_TIMEOUT"] = timeout;
    EXPECT_THAT(Refusal(), HasSubstr("OTEL_EXPORTER_OTLP_TIMEOUT")) << timeout;
  }
}

}  // namespace
}  // namespace nla::serve
