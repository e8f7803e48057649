// The way to the platform, whatever carries it. One adapter a machine: libmosquitto on a
// computer, esp-mqtt on the ESP32.
//
// The adapter tells the courier what happens: on_state(), on_ack(), on_message(), always from
// the task that polls the courier. esp-mqtt's events come from a task of its own, so its
// adapter puts them into a queue that this task empties.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace noctis {

// Up: the last level of noctis/v1/up/<shard>/<tenant>/<device>/...
enum class Channel : std::uint8_t {
  epochs,   // each epoch once, live
  backlog,  // everything else, and every repeat
  status,   // retained
  time,     // asks the time; QoS 0: a late one is worth nothing
  result,   // what became of a command
  config,   // the configuration that is followed
  log,      // lines for whoever looks after the device
  ota,      // how far an update is
};

// Down: the last level of noctis/v1/down/<tenant>/<device>/...
enum class DownChannel : std::uint8_t { ack, time, command, config, ota };

const char* name_of(Channel channel);
std::optional<DownChannel> down_channel(std::string_view name);

constexpr int qos_of(Channel channel) { return channel == Channel::time ? 0 : 1; }
constexpr bool retained(Channel channel) { return channel == Channel::status; }

class Uplink {
 public:
  Uplink() = default;
  Uplink(const Uplink&) = delete;
  Uplink& operator=(const Uplink&) = delete;
  virtual ~Uplink() = default;

  // Hands a message over without waiting. Returns its id, which on_ack() names once the broker
  // has it (QoS 1 only; an id of QoS 0 means nothing), or a negative number if it cannot be
  // taken now. What it took belongs to this connection: it is never sent on a later one.
  //
  // That is esp_mqtt_client_enqueue() to the letter: an id, -1 without a connection, -2 where
  // the outbox is full, and MQTT_EVENT_PUBLISHED with msg_id. Its outbox outlives a connection,
  // so the adapter makes a new client for each one, as the one of libmosquitto does.
  virtual int publish(Channel channel, const std::uint8_t* data, std::size_t size) = 0;
};

}  // namespace noctis
