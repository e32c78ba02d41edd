// Bodies: what is lifted out, what the tables say of types and ranges, and numbers as bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_testing.h"
#include "serve/float_bytes.h"
#include "serve/http_error.h"
#include "serve/request_fields.h"

namespace nla::serve {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string MalformedMessage(const std::string& text) {
  try {
    ParseBody(text, {.arrays = {"v"}, .texts = {"b"}});
  } catch (const MalformedBody& error) {
    return error.what();
  }
  return "";
}

TEST(RequestBody, LiftsWhatItIsToldToAndParsesTheRest) {
  const std::string text = R"( {"a": {"v": [1]}, "v" : [[1,2],[3,4]] ,"b":"QUJD", "c":"[1,\"v\":2]"} )";
  const RequestBody body = ParseBody(text, {.arrays = {"v"}, .texts = {"b"}});
  EXPECT_EQ(body.fields, Json::parse(R"({"a":{"v":[1]},"v":true,"b":true,"c":"[1,\"v\":2]"})"));
  EXPECT_THAT(body.arrays.at("v").values, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(body.texts.at("b"), "QUJD");
  EXPECT_EQ(ParseBody("{}", {}).fields, Json::object());
  EXPECT_EQ(ParseBody(R"({"v":null,"b":7})", {.arrays = {"v"}, .texts = {"b"}}).fields,
            Json::parse(R"({"v":null,"b":7})"));
}

TEST(RequestBody, RefusesWhatIsNoObject) {
  for (const char* text : {"",
                           " ",
                           "[]",
                           "1",
                           "\"a\"",
                           "null",
                           "{",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1,",
                           "{\"a\":1,}",
                           "{\"a\":1}x",
                           "{\"a\":}",
                           "{\"a\" 1}",
                           "{a:1}",
                           "{\"a\":[}",
                           "{\"a\":]}",
                           "{\"a\":\"\\\"}",
                           "{\"a\":1 2}",
                           "{\"a\":tru}",
                           "{\"a\":01}",
                           "{\"a\":\"\x01\"}",
                           "{\"a\":\"\xff\"}",
                           "{\"v\":[1]"}) {
    EXPECT_NE(MalformedMessage(text), "") << text;
  }
  EXPECT_THAT(MalformedMessage(R"({"a":1,"a":2})"), HasSubstr("\"a\" is given twice"));
  EXPECT_THAT(MalformedMessage("{\"a\":" + std::string(100000, '[')), HasSubstr("nested deeper"));
}

struct Example {
  std::string name;
  int64_t count = 3;
  double heat = 1;
  bool loud = false;
  std::vector<std::string> stop = {};
  std::vector<int64_t> ids = {};
  std::optional<int64_t> seed = {};
  NestedFloats rows = {};
  Blob blob = {};
  Json any = {};
};

FieldTable Fields(Example& e) {
  return {{"name", &e.name, "a name", {.required = true, .choices = {"a", "b"}}},
          {"count", &e.count, "so many", {.low = 1, .high = 9}},
          {"heat", &e.heat, "how hot", {.low = 0, .high = 2, .above_low = true}},
          {"loud", &e.loud, "loudly"},
          {"stop", &e.stop, "ends"},
          {"ids", &e.ids, "numbers", {.low = 0}},
          {"seed", &e.seed, "seed"},
          {"rows", &e.rows, "rows", {.depths = {2}}},
          {"blob", &e.blob, "bytes"},
          {"any", &e.any, "text or numbers", {.shapes = {Shape::kText, Shape::kIntegers}}},
          {"schema", Refused{"Write freely"}, "form"}};
}

Example Read(const std::string& text) {
  static RequestBody body;  // blobs borrow from it
  Example example;
  const FieldTable table = Fields(example);
  body = ParseFor(table, text);
  ReadBody(table, body);
  return example;
}

std::string RefusalOf(const std::string& text) {
  return Refusal([&] { Read(text); });
}

TEST(RequestFields, FillTheirTargets) {
  const std::string text =
      R"({"name":"b","count":9,"heat":2,"loud":true,"stop":"x","ids":4,"seed":7,"rows":[[1.5]],"blob":"QQ==","any":[1],"schema":null})";
  const Example e = Read(text);
  EXPECT_EQ(e.name, "b");
  EXPECT_EQ(e.count, 9);
  EXPECT_EQ(e.heat, 2);
  EXPECT_TRUE(e.loud);
  EXPECT_THAT(e.stop, ElementsAre("x"));
  EXPECT_THAT(e.ids, ElementsAre(4));
  EXPECT_EQ(e.seed, 7);
  EXPECT_THAT(e.rows.values, ElementsAre(1.5F));
  EXPECT_TRUE(e.blob.given);
  EXPECT_EQ(e.any, Json({1}));
  EXPECT_EQ(Read(R"({"name":"a","count":null,"schema":false})").count, 3);
  EXPECT_THAT(Read(R"({"name":"a","stop":["x","y"],"ids":[1,2]})").stop, ElementsAre("x", "y"));
}

TEST(RequestFields, RefusalsNameTheFieldTheValueAndTheMend) {
  EXPECT_THAT(RefusalOf("{}"), HasSubstr("name: is missing"));
  EXPECT_THAT(RefusalOf(R"({"nam":"a"})"), HasSubstr("unknown field \"nam\". Did you mean \"name\"?"));
  EXPECT_THAT(RefusalOf(R"({"name":"c"})"), HasSubstr("name: unknown value: found \"c\", wanted a, b"));
  EXPECT_THAT(RefusalOf(R"({"name":1})"), HasSubstr("name: wrong type: found 1, wanted a string"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","count":10})"),
              HasSubstr("count: is out of range: found 10, wanted at least 1 and at most 9"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","count":1.0})"), HasSubstr("wanted a whole number"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","count":18446744073709551615})"), HasSubstr("2^63"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","heat":0})"), HasSubstr("wanted above 0 and at most 2"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","loud":1})"), HasSubstr("true or false"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","stop":[1]})"), HasSubstr("a string or a list of strings"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","ids":[-1]})"), HasSubstr("ids: is out of range"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","rows":[1]})"), HasSubstr("rows: is nested wrongly"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","rows":true})"), HasSubstr("wanted an array of numbers"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","any":[1,"x"]})"), HasSubstr("wanted a string or a list of whole numbers"));
  EXPECT_THAT(RefusalOf(R"({"name":"a","schema":{"x":1}})"),
              AllOf(HasSubstr("schema: is not supported"), HasSubstr("Write freely.")));
  EXPECT_THAT(Refusal([] {
                Example example;
                ReadObject(Fields(example), Json::parse(R"({"name":"a","heet":1})"), "params[2]");
              }),
              HasSubstr("params[2]: unknown field \"heet\". Did you mean \"heat\"?"));
}

TEST(RequestFields, AnyBytesAreReadOrRefused) {
  const std::string good =
      R"({"name":"b","count":9,"heat":2e0,"loud":true,"stop":["x","\u00e9"],"ids":[4],"rows":[[1.5,-2e-3],[3,4]],"blob":"QQ==","any":[1]})";
  uint64_t state = 1;
  const auto next = [&] { return (state = state * 6364136223846793005U + 1442695040888963407U) >> 33; };
  const std::string_view bytes = "{}[]\",:\\0123456789.eE+-ntf \xff\x80";
  int refused = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string text = good;
    for (uint64_t changes = next() % 4 + 1; changes > 0; --changes) {
      const size_t at = next() % text.size();
      if (next() % 3 == 0) {
        text.erase(at, next() % 5);
      } else {
        text[at] = bytes[next() % bytes.size()];
      }
    }
    try {
      Read(text);
    } catch (const MalformedBody&) {
      ++refused;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000);
}

TEST(RequestFields, TheSchemaSaysWhatTheTableSays) {
  Example example;
  const FieldTable table = Fields(example);
  const OrderedJson schema = SchemaOf(table);
  EXPECT_EQ(schema["additionalProperties"], false);
  EXPECT_EQ(schema["required"], OrderedJson({"name"}));
  ASSERT_EQ(schema["properties"].size(), table.size());
  for (const RequestField& field : table)
    EXPECT_THAT(schema["properties"][field.name]["description"], HasSubstr(field.help));
  EXPECT_EQ(schema["properties"]["count"].dump(),
            R"({"type":["integer","null"],"minimum":1,"maximum":9,"default":3,"description":"so many"})");
  EXPECT_EQ(schema["properties"]["heat"]["exclusiveMinimum"], 0.0);
  EXPECT_EQ(schema["properties"]["name"]["enum"], OrderedJson({"a", "b"}));
}

TEST(FloatBytes, FloatsAreThoseOfTheBytes) {
  const std::vector<float> values{1, -2.5F, 3e-20F};
  EXPECT_EQ(FloatsFromBytes(Fp32Bytes(values), FloatFormat::kFp32, "f"), values);
  EXPECT_THAT(FloatsFromBytes(std::string("\x80\x3f\x00\xc0", 4), FloatFormat::kBf16, "f"), ElementsAre(1, -2));
  EXPECT_THAT(Refusal([] { FloatsFromBytes("abc", FloatFormat::kBf16, "f"); }), HasSubstr("f: is cut"));
}

TEST(Sse, FramesAreOneLineEach) {
  EXPECT_EQ(SseFrame(JsonText({{"text", "a\nb\r\xc3"}})), "data: {\"text\":\"a\\nb\\r\xef\xbf\xbd\"}\n\n");
}

TEST(Errors, HaveTheirShapes) {
  EXPECT_EQ(ValueErrorBody("no"), R"({"error":{"message":"no"}})");
  EXPECT_EQ(MalformedErrorBody("no"),
            R"({"object":"error","message":"no","type":"Bad Request","param":null,"code":400})");
  EXPECT_EQ(OpenAiErrorBody(404, "no"),
            R"({"error":{"message":"no","type":"not_found_error","param":null,"code":404}})");
}

}  // namespace
}  // namespace nla::serve
