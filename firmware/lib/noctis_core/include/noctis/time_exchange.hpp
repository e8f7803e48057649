// The time from the platform, for networks that block SNTP. Little-endian:
//   request: version | 3 zero | sent u64 | crc32
//   reply:   version | 3 zero | sent u64 | utc_ms u64 | crc32
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/backoff.hpp"
#include "noctis/clock.hpp"
#include "noctis/uplink.hpp"
#include "noctis/wall_clock.hpp"

namespace noctis {

inline constexpr std::size_t kTimeRequestSize = 16;
inline constexpr std::size_t kTimeReplySize = 24;

struct TimeReply {
  std::uint64_t sent;    // of the request
  std::uint64_t utc_ms;  // since 1970
};

std::array<std::uint8_t, kTimeRequestSize> encode_time_request(std::uint64_t sent);
// Nothing if the bytes are not a whole reply of this version.
std::optional<TimeReply> parse_time_reply(const std::uint8_t* data, std::size_t size);

// Asks while the clock is stale: at once when the connection comes up, then after 30 s up to
// every 15 min.
class TimeExchange {
 public:
  // A reply that took longer is ignored: half of it is how wrong the clock may be.
  static constexpr std::uint64_t kMostTripMs = 2000;

  TimeExchange(WallClock& wall_clock, Uplink& uplink, const Clock& clock, std::uint64_t seed)
      : wall_clock_(wall_clock), uplink_(uplink), clock_(clock), backoff_(seed) {}

  void on_state(bool up);
  void on_reply(const std::uint8_t* data, std::size_t size);
  void poll();
  std::uint64_t wake_ms() const;

 private:
  WallClock& wall_clock_;
  Uplink& uplink_;
  const Clock& clock_;
  Backoff backoff_;
  bool up_ = false;
  std::uint64_t due_ms_ = 0;           // not to be asked before
  std::uint64_t asked_ms_ = 0;         // when it was asked last
  std::optional<std::uint64_t> sent_;  // of the request that awaits its reply
};

}  // namespace noctis
