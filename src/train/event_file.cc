// Protocol-buffer messages of fixed shape, written field by field, inside TFRecords.
#include "train/event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>

#include "base/fail.h"
#include "base/write_all.h"

namespace nla {
namespace {

namespace fs = std::filesystem;

// CRC-32C (Castagnoli), reflected, a byte at a time: records are a kilobyte.
constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0);
    table[byte] = value;
  }
  return table;
}();

uint32_t MaskedCrc(std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char byte : bytes) crc = kCrcTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff] ^ (crc >> 8);
  return std::rotr(crc ^ 0xffffffffu, 15) + 0xa282ead8u;
}

template <typename T>
std::string LittleEndian(T value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// One TFRecord.
std::string Record(const std::string& payload) {
  const std::string length = LittleEndian(static_cast<uint64_t>(payload.size()));
  return length + LittleEndian(MaskedCrc(length)) + payload + LittleEndian(MaskedCrc(payload));
}

// Fields of a message: number and wire type, then the value.
enum WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void AddVarint(std::string& message, uint64_t value) {
  for (; value >= 0x80; value >>= 7) message += static_cast<char>(value | 0x80);
  message += static_cast<char>(value);
}

void AddKey(std::string& message, int field, WireType type) {
  AddVarint(message, static_cast<uint64_t>(field) << 3 | type);
}

void AddBytes(std::string& message, int field, std::string_view bytes) {
  AddKey(message, field, kBytes);
  AddVarint(message, bytes.size());
  message += bytes;
}

// tensorflow.Event: wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7.
std::string Event(double wall_time, int64_t step) {
  std::string message;
  AddKey(message, 1, kFixed64);
  message += LittleEndian(wall_time);
  if (step != 0) {
    AddKey(message, 2, kVarint);
    AddVarint(message, static_cast<uint64_t>(step));
  }
  return message;
}

// tensorflow.Summary: value = 1, of tag = 1 and simple_value = 2.
void AddValue(std::string& summary, const std::string& tag, double value) {
  std::string message;
  AddBytes(message, 1, tag);
  AddKey(message, 2, kFixed32);
  message += LittleEndian(static_cast<float>(value));
  AddBytes(summary, 1, message);
}

void AddValues(std::string& summary, const std::string& prefix, const nlohmann::ordered_json& object) {
  for (const auto& [name, value] : object.items()) {
    const std::string tag = fmt::format("{}/{}", prefix, name);
    if (value.is_object()) AddValues(summary, tag, value);
    if (value.is_number() && name != "step") AddValue(summary, tag, value.get<double>());
  }
}

double Now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

}  // namespace

namespace event_record {

std::string Version(double wall_time) {
  std::string event = Event(wall_time, 0);
  AddBytes(event, 3, "brain.Event:2");
  return Record(event);
}

std::string SessionStart(double wall_time, int64_t step) {
  std::string session;
  AddKey(session, 1, kVarint);
  AddVarint(session, 1);  // START
  std::string event = Event(wall_time, step);
  AddBytes(event, 7, session);
  return Record(event);
}

std::string Scalars(double wall_time, const nlohmann::ordered_json& line) {
  std::string summary;
  AddValues(summary, line.at("kind").get<std::string>(), line);
  std::string event = Event(wall_time, line.at("step").get<int64_t>());
  AddBytes(event, 5, summary);
  return Record(event);
}

}  // namespace event_record

EventFile::EventFile(const fs::path& directory, int64_t first_step) {
  fs::create_directories(directory);
  const double now = Now();
  // The name that TensorBoard's own writers give: it looks for "tfevents", and sorts.
  static std::atomic<int> count = 0;
  path_ = directory /
          fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<int64_t>(now), HostName(), getpid(), count++);
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) FailErrno(path_, "cannot open");
  Write(event_record::Version(now));
  Write(event_record::SessionStart(now, first_step));
}

EventFile::~EventFile() {
  if (fd_ >= 0) close(fd_);
}

void EventFile::Append(const nlohmann::ordered_json& line) { Write(event_record::Scalars(Now(), line)); }

void EventFile::Write(std::string_view record) { WriteAll(fd_, record, path_); }

}  // namespace nla
