// A broker and a platform in simulated time, as a script tells them to behave.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "memory_store.hpp"
#include "noctis/clock.hpp"
#include "noctis/courier.hpp"
#include "spool_helpers.hpp"
#include "test_board.hpp"
#include "torn_nor.hpp"

namespace noctis::test {

struct SimulatedClock : Clock {
  std::uint64_t now_ms = 0;
  std::uint64_t monotonic_ms() const override { return now_ms; }
};

struct Published {
  int id;
  Channel channel;
  std::uint64_t at_ms;
  std::string text;                 // of what is JSON
  std::vector<std::uint8_t> bytes;  // of a request for the time
  ReadFrame frame;                  // of the others
};

struct ScriptedUplink : Uplink {
  explicit ScriptedUplink(const SimulatedClock& time) : clock(time) {}

  int publish(Channel channel, const std::uint8_t* data, std::size_t size) override {
    if (full) {
      return -1;
    }
    Published message{next_id++, channel, clock.now_ms, {}, {}, {}};
    switch (channel) {
      case Channel::status:
      case Channel::result:
      case Channel::config:
      case Channel::log:
      case Channel::ota:
        message.text.assign(reinterpret_cast<const char*>(data), size);
        break;
      case Channel::time:
        message.bytes.assign(data, data + size);
        break;
      case Channel::epochs:
      case Channel::backlog:
        message.frame = read_frame(data, size);
    }
    sent.push_back(message);
    return message.id;
  }

  std::vector<Published> of(Channel channel) const {
    std::vector<Published> result;
    for (const Published& message : sent) {
      if (message.channel == channel) {
        result.push_back(message);
      }
    }
    return result;
  }

  const SimulatedClock& clock;
  std::vector<Published> sent;
  int next_id = 1;
  bool full = false;
};

inline std::vector<std::uint8_t> encode_ack(std::uint64_t stream,
                                            const std::vector<AckRange>& ranges) {
  std::vector<std::uint8_t> bytes(10 + 6 * ranges.size() + 4);
  bytes[0] = 1;
  bytes[1] = static_cast<std::uint8_t>(ranges.size());
  put_u64(&bytes[2], stream);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    put_u32(&bytes[10 + 6 * i], ranges[i].first);
    bytes[14 + 6 * i] = ranges[i].count;
    bytes[15 + 6 * i] = ranges[i].code;
  }
  put_u32(&bytes[bytes.size() - 4], crc32(bytes.data(), bytes.size() - 4));
  return bytes;
}

// The platform's reply to a request for the time.
inline std::vector<std::uint8_t> encode_time_reply(std::uint64_t sent, std::uint64_t utc_ms) {
  std::vector<std::uint8_t> bytes(kTimeReplySize);
  bytes[0] = 1;
  put_u64(&bytes[4], sent);
  put_u64(&bytes[12], utc_ms);
  put_u32(&bytes[20], crc32(bytes.data(), 20));
  return bytes;
}

inline bool carries_epochs(const Published& message) {
  return message.channel == Channel::epochs || message.channel == Channel::backlog;
}

// A device with its spool in RAM, and what it sent.
struct CourierBench {
  static constexpr std::uint64_t kUtcMs = 1'700'000'000'000;  // at boot

  explicit CourierBench(std::uint32_t sectors = 8) : nor(sectors, 7) {
    spool.mount();
    wall_clock.learn(ClockSource::sntp, kUtcMs);
  }

  // Makes an epoch now, stores it and hands it to the courier.
  std::uint32_t make_epoch() {
    const auto tick_s = static_cast<std::uint32_t>(clock.now_ms / 1000);
    const auto seq = spool.append(random_epoch(random), {tick_s, 1'700'000'000 + tick_s, {}});
    REQUIRE(seq);
    went_live = courier.epoch_made(*seq);
    courier.poll();
    return *seq;
  }
  void make_epochs(int count) {
    for (int i = 0; i < count; ++i) {
      make_epoch();
    }
  }
  void acknowledge(std::uint32_t first, std::size_t count, AckCode code = AckCode::stored,
                   std::uint64_t stream = 0) {
    const auto bytes = encode_ack(
        stream != 0 ? stream : spool.stream(),
        {{first, static_cast<std::uint8_t>(count), static_cast<std::uint8_t>(code)}});
    courier.on_message(DownChannel::ack, bytes.data(), bytes.size());
    courier.poll();
  }
  void acknowledge(const Published& message, AckCode code = AckCode::stored) {
    acknowledge(message.frame.first, message.frame.slots.size(), code);
  }
  // Lets time pass, waking the courier whenever it asks.
  void pass(double seconds) {
    const std::uint64_t end = clock.now_ms + static_cast<std::uint64_t>(1000 * seconds);
    while (courier.wake_ms() < end) {
      clock.now_ms = std::max(clock.now_ms + 1, courier.wake_ms());
      courier.poll();
    }
    clock.now_ms = end;
    courier.poll();
  }
  // Acknowledges all frames from message number `from` on as they come, until none come.
  void serve(std::size_t from = 0) {
    for (std::size_t i = from; i < uplink.sent.size(); ++i) {
      if (carries_epochs(uplink.sent[i])) {
        acknowledge(Published(uplink.sent[i]));
      }
    }
  }

  std::mt19937_64 random{7};
  TornNor nor;
  Spool spool{nor, {1, 2, 0x5EED5EED5EED5EEDULL}};
  SimulatedClock clock;
  WallClock wall_clock{clock, 1'600'000'000};
  ScriptedUplink uplink{clock};
  MemoryStore store;
  TestBoard board;
  Courier courier{spool, uplink, clock, wall_clock, store, board, "test 1", 99};
  bool went_live = false;
};

}  // namespace noctis::test
