// Reading of heads, by RFC 9112 without its obsolete parts.
#include "serve/http_message.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <ctime>

#include "base/ascii.h"
#include "serve/http_error.h"

namespace nla::serve {
namespace {

bool EqualCaseLess(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return AsciiLower(x) == AsciiLower(y); });
}

bool IsTokenCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenCharacter); }

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

[[noreturn]] void Refuse(const std::string& message) { throw HttpError(400, message); }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = AsciiLower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0) Refuse("a % in the address is not followed by two hexadecimal digits");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

void ReadTarget(std::string_view target, HttpRequest& request) {
  // A proxy's form, "http://host/path", is for proxies.
  if (target.empty() || (target[0] != '/' && target != "*")) Refuse("the address does not begin with /");
  target = target.substr(0, target.find('#'));
  const size_t question = target.find('?');
  request.path = PercentDecode(target.substr(0, question), false);
  if (question == std::string_view::npos) return;
  std::string_view query = target.substr(question + 1);
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    const std::string value = equals == std::string_view::npos ? "" : PercentDecode(part.substr(equals + 1), true);
    request.query[PercentDecode(part.substr(0, equals), true)] = value;
  }
}

void ReadRequestLine(std::string_view line, HttpHead& head) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) Refuse("the request line is not \"METHOD ADDRESS HTTP/1.1\"");
  head.request.method = std::string(line.substr(0, first));
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(head.request.method) || !version.starts_with("HTTP/")) {
    Refuse("the request line is not \"METHOD ADDRESS HTTP/1.1\"");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") throw HttpError(505, "wanted HTTP/1.1");
  head.framing.http_1_0 = version == "HTTP/1.0";
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const auto bad = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; };
  if (std::any_of(target.begin(), target.end(), bad)) Refuse("the address holds a space or a control character");
  ReadTarget(target, head.request);
}

void ReadHeader(std::string_view line, HttpRequest& request) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) Refuse("a header has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!IsToken(name)) Refuse("a header's name is not a word");  // also folded lines and white space before the colon
  const std::string_view value = Trim(line.substr(colon + 1));
  const auto bad = [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f'; };
  if (std::any_of(value.begin(), value.end(), bad)) Refuse("a header's value holds a control character");
  const auto [place, fresh] = request.headers.emplace(name, value);
  if (!fresh) place->second += ", " + std::string(value);
}

// A length that was repeated reads "5, 5" here, which is not a number either.
uint64_t ParseLength(std::string_view text) {
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    Refuse("Content-Length is not one number");
  }
  return length;
}

HttpFraming ReadFraming(const HttpRequest& request, HttpFraming framing) {
  const std::string_view coding = request.Header("Transfer-Encoding");
  const bool has_length = request.headers.contains("Content-Length");
  if (has_length) framing.content_length = ParseLength(request.Header("Content-Length"));
  if (!coding.empty()) {
    if (framing.http_1_0) Refuse("Transfer-Encoding needs HTTP/1.1");
    if (has_length) Refuse("Content-Length and Transfer-Encoding exclude each other");
    if (!EqualCaseLess(coding, "chunked")) throw HttpError(501, "the only transfer coding known is chunked");
    framing.chunked = true;
  }
  const std::string_view content_coding = request.Header("Content-Encoding");
  if (!content_coding.empty() && !EqualCaseLess(content_coding, "identity")) {
    throw HttpError(415, "bodies are not decompressed: send it without Content-Encoding");
  }
  std::string connection(request.Header("Connection"));
  std::transform(connection.begin(), connection.end(), connection.begin(), AsciiLower);
  framing.keep_alive = !framing.http_1_0 && connection.find("close") == std::string::npos;
  framing.expects_continue = !framing.http_1_0 && EqualCaseLess(request.Header("Expect"), "100-continue");
  if (!framing.http_1_0 && !request.headers.contains("Host")) Refuse("the header Host is missing");
  return framing;
}

const char* Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Answer";
  }
}

}  // namespace

bool CaseLess::operator()(std::string_view a, std::string_view b) const {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return AsciiLower(x) < AsciiLower(y); });
}

std::string_view HttpRequest::Header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

HttpHead ParseHead(std::string_view text) {
  HttpHead head;
  for (bool first = true; first || !text.empty(); first = false) {
    const size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    if (line.find_first_of("\r\n") != std::string_view::npos) Refuse("a line of the head does not end with CR LF");
    if (first) {
      ReadRequestLine(line, head);
    } else {
      ReadHeader(line, head.request);
    }
  }
  head.framing = ReadFraming(head.request, head.framing);
  return head;
}

uint64_t ParseChunkSize(std::string_view line) {
  const std::string_view digits = Trim(line.substr(0, line.find(';')));
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty() || digits[0] == '-') {
    Refuse("a chunk of the body does not begin with its size");
  }
  return size;
}

std::string ResponseHead(const HttpResponse& response, std::optional<uint64_t> length, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nDate: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", response.status,
                                 Reason(response.status), fmt::gmtime(std::time(nullptr)));
  if (length != 0U) head += fmt::format("Content-Type: {}\r\n", response.content_type);
  head += length ? fmt::format("Content-Length: {}\r\n", *length) : "Transfer-Encoding: chunked\r\n";
  for (const auto& [name, value] : response.headers) head += fmt::format("{}: {}\r\n", name, value);
  if (!keep_alive) head += "Connection: close\r\n";
  return head + "\r\n";
}

std::string Chunk(std::string_view bytes) { return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes); }

}  // namespace nla::serve
