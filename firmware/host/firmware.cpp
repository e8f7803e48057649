#include "firmware.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "image_id.hpp"
#include "spool_identity.hpp"

namespace noctis::host {
namespace {

constexpr double kForever = std::numeric_limits<double>::max();

}  // namespace

Firmware::Firmware(const Hardware& hardware, const MosquittoUplink::Settings& network,
                   std::function<void(const std::string&)> on_trouble)
    : hardware_(hardware),
      clock_(hardware_.pace, hardware_.clock),
      uplink_(network, events(std::move(on_trouble))),
      recorder_({hardware_.flash,
                 spool_identity(network.tenant, network.device, hardware_.chip), uplink_,
                 hardware_.pace, clock_.wall(), hardware_.store, hardware_.board,
                 firmware_name(), random_bits()}) {}

MosquittoUplink::Events Firmware::events(std::function<void(const std::string&)> on_trouble) {
  MosquittoUplink::Events events;
  events.on_state = [this](bool up) {
    network_alive_s_ = now_s_;
    recorder_.courier().on_state(up);
    if (update_) {
      update_->on_state(up);
    }
  };
  events.on_ack = [this](int id) {
    recorder_.courier().on_ack(id);
    if (update_) {
      update_->on_ack(id);
    }
  };
  events.on_message = [this](DownChannel channel, const std::uint8_t* data, std::size_t size) {
    receive(channel, data, size);
  };
  events.last_will = [this] {
    char json[Courier::kStatusSize];
    return std::string(json, recorder_.courier().status("lost", json));
  };
  events.on_trouble = std::move(on_trouble);
  events.on_refusal = [this](const std::string& why) {
    recorder_.courier().log().write(LogLevel::error, "%s", why.c_str());
  };
  return events;
}

void Firmware::receive(DownChannel channel, const std::uint8_t* data, std::size_t size) {
  network_alive_s_ = now_s_;
  if (channel == DownChannel::ota) {
    if (update_) {
      update_->on_message(data, size);
    }
  } else if (channel == DownChannel::time) {
    const auto heard = clock_.hear(data, size);
    recorder_.courier().on_message(channel, heard.data(), heard.size());
  } else {
    recorder_.courier().on_message(channel, data, size);
  }
}

double Firmware::serve(double now_s, Link link) {
  if (now_s_ == 0) {
    network_alive_s_ = now_s;
  }
  now_s_ = now_s;
  uplink_.set_link(link);
  return hardware_.network ? uplink_.service(now_s) : kForever;
}

void Firmware::begin_update() {
  if (hardware_.updates == nullptr) {
    return;
  }
  UpdateBoard& board = *hardware_.updates;
  update_.emplace(
      Update::Parts{board.slots(), board.source(), board.crypto(), board.store(), spool(),
                    uplink_, hardware_.pace, clock_.wall(), recorder_.courier().log()},
      running_image(), board.keys(), random_bits(), board.trial_ms());
  update_->begin(hardware_.board.reset_reason());
}

void Firmware::epoch_kept(std::uint32_t seq) {
  if (update_) {
    update_->epoch_kept(seq);
  }
}

double Firmware::send() {
  recorder_.poll();
  std::uint64_t wake_ms = recorder_.courier().wake_ms();
  if (update_) {
    update_->poll();
    wake_ms = std::min(wake_ms, update_->wake_ms());
  }
  return hardware_.pace.until_protocol(wake_ms);
}

Traffic Firmware::traffic() {
  const Courier& courier = recorder_.courier();
  const bool in_flight = courier.in_flight() > 0;
  if (courier.up() && !in_flight) {
    network_alive_s_ = now_s_;  // nothing is awaited: no silence
  }
  return {courier.up(), in_flight, courier.live_window_full(), now_s_ - network_alive_s_};
}

void Firmware::close() {
  if (hardware_.network) {
    recorder_.courier().publish_status("sleeping");
    uplink_.disconnect();
  }
}

}  // namespace noctis::host
