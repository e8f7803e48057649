// The uplink over an MQTT client that runs in a task of its own, as esp-mqtt does: when it
// connects, when it is up, what of its events counts. A new client for each connection, because
// a client's outbox outlives one, and the spool knows better what is missing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "noctis/backoff.hpp"
#include "noctis/clock.hpp"
#include "noctis/topics.hpp"

namespace noctis {

// What is needed of a client; nothing here waits for the network.
class MqttClient {
 public:
  MqttClient() = default;
  MqttClient(const MqttClient&) = delete;
  MqttClient& operator=(const MqttClient&) = delete;
  virtual ~MqttClient() = default;

  // Makes a client and lets it connect, with a clean session and that last will; its events
  // bear `connection`. False if there is no memory for one.
  virtual bool open(std::uint32_t connection, const char* will_topic, const std::uint8_t* will,
                    std::size_t will_size) = 0;
  // Ends the connection, if there is one, and the client.
  virtual void close() = 0;
  virtual bool subscribe(const char* filter) = 0;  // QoS 0
  // An id, or a negative number where it takes nothing now.
  virtual int enqueue(const char* topic, const std::uint8_t* data, std::size_t size, int qos,
                      bool retained) = 0;
};

struct MqttEvent {
  enum class Kind : std::uint8_t { connected, subscribed, published, message, lost };

  Kind kind = Kind::lost;
  std::uint32_t connection = 0;
  int id = 0;                              // of what was published
  DownChannel channel = DownChannel::ack;  // of a message, and what it holds
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

// Who is told what comes of the connection.
class UplinkListener {
 public:
  static constexpr std::size_t kMostWill = 1024;

  UplinkListener() = default;
  UplinkListener(const UplinkListener&) = delete;
  UplinkListener& operator=(const UplinkListener&) = delete;
  virtual ~UplinkListener() = default;

  virtual void on_state(bool up) = 0;
  virtual void on_ack(int id) = 0;
  virtual void on_message(DownChannel channel, const std::uint8_t* data, std::size_t size) = 0;
  // The status that the broker is to publish when the connection breaks; returns its size.
  virtual std::size_t last_will(char (&json)[kMostWill]) = 0;
};

class MqttSession : public Uplink {
 public:
  static constexpr std::uint64_t kLeastPauseMs = 1000;  // between two attempts
  static constexpr std::uint64_t kMostPauseMs = 60'000;
  // Until the broker has answered CONNECT and SUBSCRIBE: a TLS handshake takes an ESP32
  // seconds.
  static constexpr std::uint64_t kConnectMs = 30'000;

  MqttSession(MqttClient& client, const Clock& clock, const Topics& topics, std::uint64_t seed)
      : client_(client), clock_(clock), topics_(topics), random_(seed) {}

  // Who is told; before the first poll().
  void serve(UplinkListener& listener) { listener_ = &listener; }
  // The serial of the certificate that the client shows; each status tells it from then on,
  // whereupon the platform ends the one before it. Must outlive the session.
  void tell_certificate(const char* serial) { certificate_ = serial; }
  // Whether there is a network. Without one nothing is tried, and what there was is over.
  void set_network(bool up);
  // Connects when it is time to, and gives up what does not come up.
  void poll();
  void on_event(const MqttEvent& event);
  // Says goodbye: the last will is not sent.
  void close();

  int publish(Channel channel, const std::uint8_t* data, std::size_t size) override;
  bool up() const { return up_; }
  // Attempts that failed since it was up last.
  std::uint32_t failures() const { return failures_; }

 private:
  void connect();
  void drop();
  int publish_status(const std::uint8_t* json, std::size_t size);

  MqttClient& client_;
  const Clock& clock_;
  const Topics& topics_;
  Backoff random_;
  UplinkListener* listener_ = nullptr;
  const char* certificate_ = "";
  std::uint32_t connection_ = 0;
  std::uint32_t failures_ = 0;
  std::uint64_t pause_ms_ = kLeastPauseMs;
  std::uint64_t attempt_ms_ = 0;  // not before
  std::uint64_t give_up_ms_ = 0;
  bool network_ = false;
  bool open_ = false;  // there is a client
  bool up_ = false;
};

}  // namespace noctis
