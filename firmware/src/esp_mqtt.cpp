#include "esp_mqtt.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace noctis::esp {
namespace {

constexpr std::size_t kEvents = 8192;  // bytes
constexpr unsigned kRefused = 0x80;    // of a SUBACK

// The event is the same whether the broker allows the topics or not.
bool refused(const esp_mqtt_event_t& event) {
  return event.data_len > 0 && (static_cast<unsigned char>(event.data[0]) & kRefused) != 0;
}

template <std::size_t size>
void copy(std::array<char, size>& to, std::string_view from) {
  std::snprintf(to.data(), size, "%.*s", static_cast<int>(from.size()), from.data());
}

}  // namespace

EspMqttClient::EspMqttClient(const Identity& identity, const Topics& topics)
    : identity_(identity), topics_(topics), events_(xMessageBufferCreate(kEvents)) {
  copy(host_, identity.host);
  copy(password_, identity.password);
}

bool EspMqttClient::open(std::uint32_t connection, const char* will_topic,
                         const std::uint8_t* will, std::size_t will_size) {
  close();
  const esp_mqtt_client_config_t config = configuration(will_topic, will, will_size);
  connection_ = connection;
  client_ = esp_mqtt_client_init(&config);  // copies all but the certificates
  return client_ != nullptr && events_ != nullptr &&
         esp_mqtt_client_register_event(client_, MQTT_EVENT_ANY, on_event, this) == ESP_OK &&
         esp_mqtt_client_start(client_) == ESP_OK;
}

void EspMqttClient::close() {
  if (client_ != nullptr) {
    esp_mqtt_client_destroy(client_);  // says goodbye first, if it is connected
    client_ = nullptr;
  }
}

bool EspMqttClient::subscribe(const char* filter) {
  return client_ != nullptr && esp_mqtt_client_subscribe(client_, filter, 0) >= 0;
}

int EspMqttClient::enqueue(const char* topic, const std::uint8_t* data, std::size_t size,
                           int qos, bool retained) {
  if (client_ == nullptr) {
    return -1;
  }
  return esp_mqtt_client_enqueue(client_, topic, reinterpret_cast<const char*>(data),
                                 static_cast<int>(size), qos, retained ? 1 : 0, true);
}

void EspMqttClient::on_event(void* self, esp_event_base_t, std::int32_t, void* event) {
  static_cast<EspMqttClient*>(self)->take(*static_cast<const esp_mqtt_event_t*>(event));
}

void EspMqttClient::take(const esp_mqtt_event_t& event) {
  switch (event.event_id) {
    case MQTT_EVENT_CONNECTED:
      put({MqttEvent::Kind::connected, DownChannel::ack, connection_, 0}, nullptr, 0);
      break;
    case MQTT_EVENT_SUBSCRIBED:
      if (refused(event)) {
        lost_ = connection_;  // without acknowledgements it is of no use
        break;
      }
      put({MqttEvent::Kind::subscribed, DownChannel::ack, connection_, 0}, nullptr, 0);
      break;
    case MQTT_EVENT_PUBLISHED:
      put({MqttEvent::Kind::published, DownChannel::ack, connection_, event.msg_id}, nullptr,
          0);
      break;
    case MQTT_EVENT_DATA: {
      const std::string_view topic(event.topic, static_cast<std::size_t>(event.topic_len));
      const auto channel = topics_.down(topic);
      if (channel && event.data_len == event.total_data_len) {  // else it comes in pieces
        put({MqttEvent::Kind::message, *channel, connection_, 0}, event.data,
            static_cast<std::size_t>(event.data_len));
      }
      break;
    }
    case MQTT_EVENT_DISCONNECTED:
      lost_ = connection_;
      break;
    default:
      break;
  }
}

// What finds no place is lost: an acknowledgement that is missing costs a repeat.
void EspMqttClient::put(const Head& head, const void* data, std::size_t size) {
  if (size > kMostMessage) {
    return;
  }
  std::memcpy(in_.data(), &head, sizeof head);
  if (size > 0) {
    std::memcpy(in_.data() + sizeof head, data, size);
  }
  xMessageBufferSend(events_, in_.data(), sizeof head + size, 0);
}

void EspMqttClient::hand_over(MqttSession& session) {
  std::size_t size = 0;
  while ((size = xMessageBufferReceive(events_, out_.data(), out_.size(), 0)) >= sizeof(Head)) {
    Head head{};
    std::memcpy(&head, out_.data(), sizeof head);
    session.on_event({head.kind, head.connection, head.id, head.channel,
                      out_.data() + sizeof head, size - sizeof head});
  }
  if (const std::uint32_t lost = lost_.exchange(0); lost != 0) {
    session.on_event({MqttEvent::Kind::lost, lost, 0, DownChannel::ack, nullptr, 0});
  }
}

}  // namespace noctis::esp
