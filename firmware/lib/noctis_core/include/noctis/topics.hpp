// The names of a device's topics: docs/protocol.md.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "noctis/identity.hpp"
#include "noctis/uplink.hpp"

namespace noctis {

class Topics {
 public:
  static constexpr std::size_t kMostTopic = 128;  // with a final zero
  using Topic = std::array<char, kMostTopic>;

  // Both names are good ones.
  Topics(std::string_view tenant, std::string_view device);

  // "tenant/device": the MQTT user, and the client id.
  const char* id() const { return id_.data(); }
  Topic up(Channel channel) const;
  // All that comes down.
  const char* filter() const { return filter_.data(); }
  // Which channel a topic is; nothing for what is not meant for this device.
  std::optional<DownChannel> down(std::string_view topic) const;

 private:
  std::array<char, 2 * kMostName + 2> id_{};
  Topic filter_{};
  unsigned shard_ = 0;
};

}  // namespace noctis
