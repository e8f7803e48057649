#include "noctis/mqtt_session.hpp"

#include <algorithm>
#include <cstdio>

namespace noctis {

void MqttSession::set_network(bool up) {
  if (up == network_) {
    return;
  }
  network_ = up;
  attempt_ms_ = 0;  // a network that came is tried at once
  pause_ms_ = kLeastPauseMs;
  if (!up && open_) {
    drop();
  }
}

void MqttSession::connect() {
  char status[UplinkListener::kMostWill];
  const std::size_t size = listener_->last_will(status);
  open_ = client_.open(++connection_, topics_.up(Channel::status).data(),
                       reinterpret_cast<const std::uint8_t*>(status), size);
  give_up_ms_ = clock_.monotonic_ms() + kConnectMs;
  if (!open_) {
    drop();
  }
}

// Of many devices that lose one broker not all come back in the same second.
void MqttSession::drop() {
  client_.close();
  open_ = false;
  failures_ += up_ ? 0 : 1;
  attempt_ms_ = clock_.monotonic_ms() + pause_ms_ / 2 + random_.random() % (pause_ms_ / 2);
  pause_ms_ = std::min(2 * pause_ms_, kMostPauseMs);
  if (up_) {
    up_ = false;
    listener_->on_state(false);
  }
}

void MqttSession::poll() {
  const std::uint64_t now_ms = clock_.monotonic_ms();
  if (open_ && !up_ && now_ms >= give_up_ms_) {
    drop();
  }
  if (network_ && !open_ && now_ms >= attempt_ms_) {
    connect();
  }
}

void MqttSession::on_event(const MqttEvent& event) {
  if (!open_ || event.connection != connection_) {
    return;  // of a client that is no more
  }
  switch (event.kind) {
    case MqttEvent::Kind::connected:
      if (!client_.subscribe(topics_.filter())) {
        drop();
      }
      break;
    case MqttEvent::Kind::subscribed:
      // Only now can an acknowledgement come: what is published earlier might miss it.
      if (!up_) {
        up_ = true;
        failures_ = 0;
        pause_ms_ = kLeastPauseMs;
        listener_->on_state(true);
      }
      break;
    case MqttEvent::Kind::published:
      listener_->on_ack(event.id);
      break;
    case MqttEvent::Kind::message:
      listener_->on_message(event.channel, event.data, event.size);
      break;
    case MqttEvent::Kind::lost:
      drop();
      break;
  }
}

int MqttSession::publish(Channel channel, const std::uint8_t* data, std::size_t size) {
  if (!up_) {
    return -1;
  }
  if (channel == Channel::status && *certificate_ != '\0') {
    return publish_status(data, size);
  }
  return client_.enqueue(topics_.up(channel).data(), data, size, qos_of(channel),
                         retained(channel));
}

// Another member in front of the last brace.
int MqttSession::publish_status(const std::uint8_t* json, std::size_t size) {
  char all[UplinkListener::kMostWill];
  const int count =
      std::snprintf(all, sizeof all, R"(%.*s,"certificate":"%s"})", static_cast<int>(size) - 1,
                    reinterpret_cast<const char*>(json), certificate_);
  if (count < 0 || static_cast<std::size_t>(count) >= sizeof all) {
    return -1;
  }
  return client_.enqueue(
      topics_.up(Channel::status).data(), reinterpret_cast<const std::uint8_t*>(all),
      static_cast<std::size_t>(count), qos_of(Channel::status), retained(Channel::status));
}

void MqttSession::close() {
  if (open_) {
    client_.close();
  }
  open_ = up_ = false;
  attempt_ms_ = clock_.monotonic_ms() + kMostPauseMs;
}

}  // namespace noctis
