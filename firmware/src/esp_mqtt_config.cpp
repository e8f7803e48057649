// How esp-mqtt is set up; the two generations of ESP-IDF name it differently.
#include <esp_idf_version.h>

#include "esp_mqtt.hpp"

namespace noctis::esp {
namespace {

constexpr int kKeepAliveS = 30;
constexpr int kNetworkMs = 10'000;
// It never connects again by itself; but one that lost its connection notices only every half
// of this that it is to end, and whoever closes it waits so long.
constexpr int kReconnectMs = 100;
constexpr int kBuffer = 2048;
constexpr int kStack = 6144;
#if ESP_IDF_VERSION_MAJOR >= 5
constexpr int kRetransmitMs = 30'000;  // the courier repeats what is not acknowledged
#endif

const char* text(const ByteView& bytes) { return reinterpret_cast<const char*>(bytes.data); }

}  // namespace

esp_mqtt_client_config_t EspMqttClient::configuration(const char* will_topic,
                                                      const std::uint8_t* will,
                                                      std::size_t will_size) const {
  const bool tls = identity_.ca.size > 0;
  const auto transport = tls ? MQTT_TRANSPORT_OVER_SSL : MQTT_TRANSPORT_OVER_TCP;
  const char* password = identity_.password.empty() ? nullptr : password_.data();
  const char* message = reinterpret_cast<const char*>(will);
  esp_mqtt_client_config_t config{};
#if ESP_IDF_VERSION_MAJOR >= 5
  config.broker.address.hostname = host_.data();
  config.broker.address.port = identity_.port;
  config.broker.address.transport = transport;
  config.broker.verification.certificate = text(identity_.ca);
  config.broker.verification.certificate_len = identity_.ca.size;
  config.credentials.username = topics_.id();
  config.credentials.client_id = topics_.id();
  config.credentials.authentication.password = password;
  config.credentials.authentication.certificate = text(identity_.certificate);
  config.credentials.authentication.certificate_len = identity_.certificate.size;
  config.credentials.authentication.key = text(identity_.key);
  config.credentials.authentication.key_len = identity_.key.size;
  config.session.protocol_ver = MQTT_PROTOCOL_V_3_1_1;
  config.session.last_will.topic = will_topic;
  config.session.last_will.msg = message;
  config.session.last_will.msg_len = static_cast<int>(will_size);
  config.session.last_will.qos = 1;
  config.session.last_will.retain = 1;
  config.session.keepalive = kKeepAliveS;
  config.session.message_retransmit_timeout = kRetransmitMs;
  config.network.disable_auto_reconnect = true;
  config.network.reconnect_timeout_ms = kReconnectMs;
  config.network.timeout_ms = kNetworkMs;
  config.buffer.size = kBuffer;
  config.task.stack_size = kStack;
#else
  config.host = host_.data();
  config.port = identity_.port;
  config.transport = transport;
  config.cert_pem = text(identity_.ca);
  config.cert_len = identity_.ca.size;
  config.username = topics_.id();
  config.client_id = topics_.id();
  config.password = password;
  config.client_cert_pem = text(identity_.certificate);
  config.client_cert_len = identity_.certificate.size;
  config.client_key_pem = text(identity_.key);
  config.client_key_len = identity_.key.size;
  config.lwt_topic = will_topic;
  config.lwt_msg = message;
  config.lwt_msg_len = static_cast<int>(will_size);
  config.lwt_qos = 1;
  config.lwt_retain = 1;
  config.protocol_ver = MQTT_PROTOCOL_V_3_1_1;
  config.keepalive = kKeepAliveS;
  config.disable_auto_reconnect = true;
  config.reconnect_timeout_ms = kReconnectMs;
  config.network_timeout_ms = kNetworkMs;
  config.buffer_size = kBuffer;
  config.task_stack = kStack;
#endif
  return config;
}

}  // namespace noctis::esp
