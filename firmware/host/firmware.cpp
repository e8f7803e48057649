#include "firmware.hpp"

#include <limits>
#include <utility>

#include "spool_identity.hpp"

namespace noctis::host {
namespace {

constexpr const char* kFirmware = "noctis-device 0.1.0";
constexpr double kForever = std::numeric_limits<double>::max();

}  // namespace

Firmware::Firmware(const Board& board, const MosquittoUplink::Settings& network,
                   std::function<void(const std::string&)> on_trouble)
    : board_(board),
      spool_(board_.flash, spool_identity(network.tenant, network.device, board_.chip)),
      clock_(board_.pace, board_.clock),
      uplink_(network, events(std::move(on_trouble))),
      courier_(spool_, uplink_, board_.pace, clock_.wall(), kFirmware, random_bits()) {}

MosquittoUplink::Events Firmware::events(std::function<void(const std::string&)> on_trouble) {
  MosquittoUplink::Events events;
  events.on_state = [this](bool up) {
    network_alive_s_ = now_s_;
    courier_.on_state(up);
  };
  events.on_ack = [this](int id) { courier_.on_ack(id); };
  events.on_message = [this](DownChannel channel, const std::uint8_t* data, std::size_t size) {
    receive(channel, data, size);
  };
  events.last_will = [this] {
    char json[Courier::kStatusSize];
    return std::string(json, courier_.status("lost", json));
  };
  events.on_trouble = std::move(on_trouble);
  return events;
}

void Firmware::receive(DownChannel channel, const std::uint8_t* data, std::size_t size) {
  network_alive_s_ = now_s_;
  if (channel == DownChannel::time) {
    const auto heard = clock_.hear(data, size);
    courier_.on_message(channel, heard.data(), heard.size());
  } else {
    courier_.on_message(channel, data, size);
  }
}

double Firmware::serve(double now_s, Link link) {
  if (now_s_ == 0) {
    network_alive_s_ = now_s;
  }
  now_s_ = now_s;
  uplink_.set_link(link);
  return board_.network ? uplink_.service(now_s) : kForever;
}

double Firmware::send() {
  courier_.poll();
  return board_.pace.until_protocol(courier_.wake_ms());
}

Traffic Firmware::traffic() {
  const bool in_flight = courier_.in_flight() > 0;
  if (courier_.up() && !in_flight) {
    network_alive_s_ = now_s_;  // nothing is awaited: no silence
  }
  return {courier_.up(), in_flight, courier_.live_window_full(), now_s_ - network_alive_s_};
}

Epoch Firmware::finish_epoch(std::uint32_t now_ms) {
  const Epoch epoch = builder_.finish(now_ms);
  courier_.set_health(builder_.health());
  return epoch;
}

std::optional<std::uint32_t> Firmware::keep(const Epoch& epoch, std::uint64_t start_ms) {
  Timekeeper timekeeper = timekeeper_;
  const auto stamp = timekeeper.stamp(start_ms, clock_.wall().utc_at(start_ms));
  const auto seq = spool_.append(epoch, stamp);
  if (seq) {
    timekeeper_ = timekeeper;
  }
  return seq;
}

void Firmware::close() {
  if (board_.network) {
    courier_.publish_status("sleeping");
    uplink_.disconnect();
  }
}

}  // namespace noctis::host
