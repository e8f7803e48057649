#include "noctis/improv.hpp"

#include <algorithm>
#include <numeric>

namespace noctis::improv {
namespace {

constexpr std::string_view kMark = "IMPROV";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kVersionAt = 6;
constexpr std::size_t kTypeAt = 7;
constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kRpcHead = 2;

std::uint8_t sum(const std::uint8_t* bytes, std::size_t size) {
  return static_cast<std::uint8_t>(std::accumulate(bytes, bytes + size, 0U));
}

}  // namespace

Parser::Found Parser::push(std::uint8_t byte) {
  if (size_ < kMark.size()) {
    // No letter of the mark comes twice, so a mark can only begin anew with its first one.
    if (byte != static_cast<std::uint8_t>(kMark[size_])) {
      size_ = 0;
    }
    if (byte == static_cast<std::uint8_t>(kMark[size_])) {
      bytes_[size_++] = byte;
    }
    return Found::nothing;
  }
  if (size_ < kHeadSize || size_ < kHeadSize + bytes_[kLengthAt]) {
    bytes_[size_++] = byte;
    return Found::nothing;
  }
  const bool right = sum(bytes_.data(), size_) == byte && bytes_[kVersionAt] == kVersion;
  size_ = 0;
  if (!right) {
    return Found::broken;
  }
  return bytes_[kTypeAt] == static_cast<std::uint8_t>(Type::rpc) ? finish() : Found::nothing;
}

Parser::Found Parser::finish() {
  const std::size_t length = bytes_[kLengthAt];
  if (length < kRpcHead || bytes_[kHeadSize + 1] != length - kRpcHead) {
    return Found::broken;
  }
  command_ = {static_cast<Rpc>(bytes_[kHeadSize]), &bytes_[kHeadSize + kRpcHead],
              length - kRpcHead};
  return Found::command;
}

Packet::Packet(Type type) {
  std::copy(kMark.begin(), kMark.end(), bytes_.begin());
  size_ = kMark.size();
  add(kVersion);
  add(static_cast<std::uint8_t>(type));
  add(0);
}

void Packet::finish() {
  bytes_[kLengthAt] = static_cast<std::uint8_t>(size_ - kHeadSize);
  add(sum(bytes_.data(), size_));
  add('\n');
}

Packet Packet::of(State state) {
  Packet packet(Type::state);
  packet.add(static_cast<std::uint8_t>(state));
  packet.finish();
  return packet;
}

Packet Packet::of(Error error) {
  Packet packet(Type::error);
  packet.add(static_cast<std::uint8_t>(error));
  packet.finish();
  return packet;
}

Packet Packet::result(Rpc rpc, std::initializer_list<std::string_view> strings) {
  Packet packet(Type::result);
  packet.add(static_cast<std::uint8_t>(rpc));
  packet.add(0);
  for (const std::string_view string : strings) {
    if (packet.size_ + 1 + string.size() > kHeadSize + kMostData) {
      break;
    }
    packet.add(static_cast<std::uint8_t>(string.size()));
    for (const char character : string) {
      packet.add(static_cast<std::uint8_t>(character));
    }
  }
  packet.bytes_[kHeadSize + 1] = static_cast<std::uint8_t>(packet.size_ - kHeadSize - kRpcHead);
  packet.finish();
  return packet;
}

}  // namespace noctis::improv
