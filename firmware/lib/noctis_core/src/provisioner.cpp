#include "noctis/provisioner.hpp"

#include <algorithm>
#include <cstdio>

namespace noctis {

using improv::Error;
using improv::Packet;
using improv::Rpc;
using improv::State;

namespace {

constexpr std::size_t kOffsetSize = 2;  // in front of a part

}  // namespace

void Provisioner::begin() {
  const auto size = store_.get(kIdentityName, bytes_.data(), bytes_.size());
  identity_ = size ? read_identity(bytes_.data(), *size) : std::nullopt;
  const auto wifi_size = store_.get(kWifiName, wifi_.data(), wifi_.size());
  wifi_size_ = wifi_size && read_wifi(wifi_.data(), *wifi_size) ? *wifi_size : 0;
  if (wifi_size_ > 0) {
    join(wifi_.data(), wifi_size_);
  }
}

void Provisioner::join(const std::uint8_t* data, std::size_t size) {
  if (const auto network = read_wifi(data, size)) {
    radio_.join(*network);
  }
  deadline_ms_ = clock_.monotonic_ms() + (trying_ ? kJoinMs : kRejoinMs);
}

bool Provisioner::try_wifi(const std::uint8_t* data, std::size_t size) {
  if (!read_wifi(data, size)) {
    return false;
  }
  std::copy_n(data, size, tried_.begin());
  tried_size_ = size;
  trying_ = true;
  failed_ = false;
  asked_by_line_ = false;
  join(tried_.data(), tried_size_);
  return true;
}

State Provisioner::state() const {
  if (trying_) {
    return State::provisioning;
  }
  return radio_.joined() ? State::provisioned : State::ready;
}

const char* Provisioner::name(const std::optional<Identity>& identity) {
  if (identity) {
    std::snprintf(name_.data(), name_.size(), "%.*s/%.*s",
                  static_cast<int>(identity->tenant.size()), identity->tenant.data(),
                  static_cast<int>(identity->device.size()), identity->device.data());
  } else {
    std::snprintf(name_.data(), name_.size(), "unclaimed");
  }
  return name_.data();
}

void Provisioner::push(const std::uint8_t* data, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    switch (parser_.push(data[i])) {
      case improv::Parser::Found::command:
        obey(parser_.command());
        break;
      case improv::Parser::Found::broken:
        send(Packet::of(Error::invalid_rpc));
        break;
      case improv::Parser::Found::nothing:
        break;
    }
  }
}

void Provisioner::obey(const improv::Command& command) {
  if (command.rpc == Rpc::wifi) {
    if (!try_wifi(command.data, command.size)) {
      send(Packet::of(Error::invalid_rpc));
      return;
    }
    asked_by_line_ = true;
    send(Packet::of(Error::none));
    send(Packet::of(State::provisioning));
    return;
  }
  if (command.rpc == Rpc::identity_part) {
    take_part(command);
    return;
  }
  if (command.size != 0) {
    send(Packet::of(Error::invalid_rpc));
    return;
  }
  switch (command.rpc) {
    case Rpc::state:
      tell_state();
      break;
    case Rpc::info:
      tell_info();
      break;
    case Rpc::scan:
      send(Packet::of(Error::none));
      radio_.scan();
      scanning_ = true;
      scan_until_ms_ = clock_.monotonic_ms() + kScanMs;
      break;
    case Rpc::identity_end:
      end_identity();
      break;
    case Rpc::link:
      tell_link();
      break;
    default:
      send(Packet::of(Error::unknown_rpc));
  }
}

void Provisioner::tell_state() {
  send(Packet::of(Error::none));
  send(Packet::of(state()));
  if (state() == State::provisioned) {
    send(Packet::result(Rpc::wifi, {}));
  }
}

void Provisioner::tell_info() {
  send(Packet::of(Error::none));
  send(Packet::result(Rpc::info,
                      {"Noctis", firmware_.version, firmware_.chip, name(identity_)}));
}

void Provisioner::tell_link() {
  const char* state = "no_platform";
  const char* why = platform_why_;
  if (!identity_) {
    state = "unclaimed";
    why = "";
  } else if (!radio_.joined()) {
    state = "no_wifi";
    why = has_wifi() ? "it cannot be joined" : "";
  } else if (platform_up_) {
    state = "up";
    why = "";
  }
  send(Packet::of(Error::none));
  send(Packet::result(Rpc::link, {name(identity_), state, why}));
}

bool Provisioner::restart_due() const {
  return restart_ms_ > 0 && clock_.monotonic_ms() >= restart_ms_;
}

// Parts come in order; the first one begins anew.
void Provisioner::take_part(const improv::Command& command) {
  const std::size_t offset = command.size > kOffsetSize ? std::size_t{command.data[0]} |
                                                              std::size_t{command.data[1]} << 8U
                                                        : parts_.size();
  if (offset == 0 || holds_) {
    parts_size_ = 0;
    holds_ = false;
  }
  const std::size_t size = command.size - std::min(command.size, kOffsetSize);
  if (size == 0 || offset != parts_size_ || size > parts_.size() - parts_size_) {
    parts_size_ = 0;
    send(Packet::of(Error::invalid_rpc));
    return;
  }
  std::copy_n(command.data + kOffsetSize, size, parts_.begin() + parts_size_);
  parts_size_ += size;
  send(Packet::of(Error::none));
  send(Packet::result(Rpc::identity_part, {}));
}

// What runs still rests on the identity that began, down to the bytes of its key.
void Provisioner::end_identity() {
  const auto identity = read_identity(parts_.data(), holds_ ? 0 : parts_size_);
  if (!identity) {
    send(Packet::of(Error::invalid_rpc));
    parts_size_ = 0;
    holds_ = false;
    parts_.fill(0);
    return;
  }
  const char* const whose = name(identity);
  if (keep_identity(kRestartMs)) {
    send(Packet::of(Error::none));
    send(Packet::result(Rpc::identity_end, {whose}));
  } else {
    send(Packet::of(Error::unknown));
  }
}

bool Provisioner::keep_identity(std::uint64_t restart_in_ms) {
  const bool kept = store_.put(kIdentityName, parts_.data(), parts_size_);
  if (kept) {
    restart_ms_ = clock_.monotonic_ms() + restart_in_ms;
  }
  parts_size_ = 0;
  holds_ = false;
  parts_.fill(0);
  return kept;
}

Provisioner::Offer Provisioner::offer(const std::uint8_t* wifi, std::size_t wifi_size,
                                      const std::uint8_t* identity, std::size_t identity_size) {
  if (identity_size > 0 && !read_identity(identity, identity_size)) {
    return Offer::no_identity;
  }
  if (wifi_size > 0 && !read_wifi(wifi, wifi_size)) {
    return Offer::no_network;
  }
  if (wifi_size + identity_size == 0) {
    return Offer::nothing;
  }
  if (identity_size > 0) {
    std::copy_n(identity, identity_size, parts_.begin());
    parts_size_ = identity_size;
    holds_ = true;
    failed_ = false;
  }
  if (wifi_size > 0) {
    try_wifi(wifi, wifi_size);
  }
  return Offer::taken;
}

void Provisioner::end_attempt(bool joined) {
  trying_ = false;
  failed_ = !joined;
  if (joined) {
    std::copy_n(tried_.begin(), tried_size_, wifi_.begin());
    wifi_size_ = tried_size_;
    store_.put(kWifiName, wifi_.data(), wifi_size_);
  } else if (wifi_size_ > 0) {
    join(wifi_.data(), wifi_size_);
  }
  tried_.fill(0);
  if (!asked_by_line_) {
    return;
  }
  if (!joined) {
    send(Packet::of(Error::unable_to_connect));
  }
  send(Packet::of(joined ? State::provisioned : State::ready));
  if (joined) {
    send(Packet::result(Rpc::wifi, {}));
  }
}

void Provisioner::tell_networks() {
  const int count = std::min(radio_.scanned(), kMostNetworks);
  for (int i = 0; i < count; ++i) {
    const Radio::Network network = radio_.network(i);
    char rssi[8];
    std::snprintf(rssi, sizeof rssi, "%d", network.rssi);
    send(
        Packet::result(Rpc::scan, {network.name.data(), rssi, network.secured ? "YES" : "NO"}));
  }
  send(Packet::result(Rpc::scan, {}));
  scanning_ = false;
}

void Provisioner::poll() {
  const std::uint64_t now_ms = clock_.monotonic_ms();
  if (scanning_ && (radio_.scanned() >= 0 || now_ms >= scan_until_ms_)) {
    tell_networks();
  }
  if (holds_ && !trying_ && !failed_ && radio_.joined()) {
    keep_identity(kPageMs);
  }
  if (trying_) {
    if (radio_.joined() || now_ms >= deadline_ms_) {
      end_attempt(radio_.joined());
    }
  } else if (wifi_size_ > 0 && !scanning_ && !radio_.joined() && now_ms >= deadline_ms_) {
    join(wifi_.data(), wifi_size_);
  }
}

}  // namespace noctis
