// The way to the platform, whatever carries it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace noctis {

enum class Channel : std::uint8_t {
  epochs,   // each epoch once, live
  backlog,  // everything else, and every repeat
  status,   // retained
};

class Uplink {
 public:
  Uplink() = default;
  Uplink(const Uplink&) = delete;
  Uplink& operator=(const Uplink&) = delete;
  virtual ~Uplink() = default;

  // Publishes with QoS 1. Returns the message's id, or a negative number if it cannot be taken
  // now. A message is never repeated on a later connection.
  virtual int publish(Channel channel, const std::uint8_t* data, std::size_t size) = 0;
};

}  // namespace noctis
