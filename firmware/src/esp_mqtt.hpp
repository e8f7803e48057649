// esp-mqtt. Its events come from a task of its own; they wait here for the polling task.
#pragma once

#include <freertos/FreeRTOS.h>
#include <freertos/message_buffer.h>
#include <mqtt_client.h>

#include <array>
#include <atomic>

#include "noctis/identity.hpp"
#include "noctis/mqtt_session.hpp"

namespace noctis::esp {

class EspMqttClient : public MqttClient {
 public:
  // Both must outlive the client, the identity with the bytes that it rests on.
  EspMqttClient(const Identity& identity, const Topics& topics);

  bool open(std::uint32_t connection, const char* will_topic, const std::uint8_t* will,
            std::size_t will_size) override;
  void close() override;
  bool subscribe(const char* filter) override;
  int enqueue(const char* topic, const std::uint8_t* data, std::size_t size, int qos,
              bool retained) override;

  // Tells what has happened since the last call.
  void hand_over(MqttSession& session);

 private:
  static constexpr std::size_t kMostMessage =
      2048;  // that comes down; more is no message of ours
  struct Head {
    MqttEvent::Kind kind;
    DownChannel channel;
    std::uint32_t connection;
    int id;
  };

  static void on_event(void* self, esp_event_base_t, std::int32_t, void* event);
  void take(const esp_mqtt_event_t& event);
  void put(const Head& head, const void* data, std::size_t size);
  esp_mqtt_client_config_t configuration(const char* will_topic, const std::uint8_t* will,
                                         std::size_t will_size) const;

  const Identity& identity_;
  const Topics& topics_;
  std::array<char, kMostHost + 1> host_{};
  std::array<char, kMostPassword + 1> password_{};
  esp_mqtt_client_handle_t client_ = nullptr;
  std::uint32_t connection_ = 0;
  std::atomic<std::uint32_t> lost_{0};  // the connection that broke last
  MessageBufferHandle_t events_;
  std::array<std::uint8_t, sizeof(Head) + kMostMessage> in_{};   // of esp-mqtt's task
  std::array<std::uint8_t, sizeof(Head) + kMostMessage> out_{};  // of the polling task
};

}  // namespace noctis::esp
