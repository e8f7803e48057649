// The Improv Wi-Fi protocol over a serial line, version 1, as improv-wifi.com specifies it.
//   "IMPROV" | version u8 | type u8 | length u8 | data | sum of all bytes before it, u8
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace noctis::improv {

inline constexpr std::size_t kMostData = 255;
inline constexpr std::size_t kHeadSize = 9;

enum class Type : std::uint8_t { state = 1, error = 2, rpc = 3, result = 4 };
enum class State : std::uint8_t { ready = 2, provisioning = 3, provisioned = 4 };
enum class Error : std::uint8_t {
  none = 0,
  invalid_rpc = 1,
  unknown_rpc = 2,
  unable_to_connect = 3,
  unknown = 0xFF,
};

enum class Rpc : std::uint8_t {
  wifi = 1,
  state = 2,
  info = 3,
  scan = 4,
  // Our own: docs/provisioning.md.
  identity_part = 0xF0,
  identity_end = 0xF1,
  link = 0xF2,
};

struct Command {
  Rpc rpc;
  const std::uint8_t* data;
  std::size_t size;
};

// Finds the commands in what a serial line brings, whatever else it brings.
class Parser {
 public:
  enum class Found : std::uint8_t {
    nothing,  // yet
    command,  // command() has it, until the next push()
    broken,   // a packet whose sum, length or version is wrong
  };

  Found push(std::uint8_t byte);
  const Command& command() const { return command_; }

 private:
  Found finish();

  std::array<std::uint8_t, kHeadSize + kMostData> bytes_{};
  std::size_t size_ = 0;
  Command command_{};
};

// A packet with its sum and a line feed behind it, so that clients which read lines find it.
class Packet {
 public:
  static constexpr std::size_t kMostSize = kHeadSize + kMostData + 2;

  static Packet of(State state);
  static Packet of(Error error);
  // The result of an RPC; strings that do not fit any more are left out.
  static Packet result(Rpc rpc, std::initializer_list<std::string_view> strings);

  const std::uint8_t* data() const { return bytes_.data(); }
  std::size_t size() const { return size_; }

 private:
  explicit Packet(Type type);
  void add(std::uint8_t byte) { bytes_[size_++] = byte; }
  void finish();

  std::array<std::uint8_t, kMostSize> bytes_{};
  std::size_t size_ = 0;
};

}  // namespace noctis::improv
