#include "noctis/bedside.hpp"

#include <algorithm>

namespace noctis {
namespace {

// No clock is believed that is before this source was written.
constexpr std::uint32_t kWrittenS = 1'763'769'600;  // 2025-11-22

UpdateKeys trusted_by(const Identity& identity) {
  UpdateKeys trusted;
  trusted.count = std::min(identity.update_keys.size / sizeof(PublicKey), trusted.keys.size());
  for (std::size_t i = 0; i < trusted.count; ++i) {
    std::copy_n(identity.update_keys.data + i * sizeof(PublicKey), sizeof(PublicKey),
                trusted.keys[i].begin());
  }
  return trusted;
}

}  // namespace

Bedside::Bedside(const Hardware& hardware, const Identity& identity, const Topics& topics,
                 const FirmwareId& firmware, const char* name)
    : clock_(hardware.clock),
      reset_reason_(hardware.board.reset_reason()),
      certificate_(serial_of(identity.certificate)),
      wall_clock_(hardware.clock, kWrittenS),
      session_(hardware.client, hardware.clock, topics, hardware.random),
      recorder_({hardware.flash,
                 {owner_of(identity.tenant, identity.device), hardware.chip, hardware.random},
                 session_,
                 hardware.clock,
                 wall_clock_,
                 hardware.store,
                 hardware.board,
                 name,
                 hardware.random}),
      cadence_(recorder_),
      accelerometer_(hardware.i2c),
      update_(
          {hardware.slots, hardware.source, hardware.crypto, hardware.store, recorder_.spool(),
           session_, hardware.clock, wall_clock_, recorder_.courier().log()},
          firmware, trusted_by(identity), hardware.random) {
  session_.serve(*this);
  session_.tell_certificate(certificate_.data());
}

Spool::Mount Bedside::boot() {
  mounted_ = recorder_.boot();
  update_.begin(reset_reason_);
  cadence_.begin(clock_.monotonic_ms());
  return mounted_;
}

void Bedside::radar(const std::uint8_t* bytes, std::size_t size) {
  recorder_.builder().radar(static_cast<std::uint32_t>(clock_.monotonic_ms()), bytes, size);
}

void Bedside::step(bool network) {
  const std::uint64_t now_ms = clock_.monotonic_ms();
  if (now_ms >= sample_ms_) {
    recorder_.builder().accelerometer(static_cast<std::uint32_t>(now_ms), accelerometer_);
    // On its own grid, unless the task was held up for longer.
    sample_ms_ = std::max(sample_ms_ + kAccelPeriodMs, now_ms);
  }
  if (cadence_.step(now_ms)) {
    radar_ = recorder_.builder().health().radar;
  }
  if (const auto seq = cadence_.take_kept()) {
    update_.epoch_kept(*seq);
  }
  session_.set_network(network);
  session_.poll();
  recorder_.poll();
  update_.poll();
}

void Bedside::close() {
  recorder_.courier().publish_status("sleeping");
  session_.close();
}

Sign Bedside::sign(bool flash_sound, bool network) const {
  if (!flash_sound || mounted_ == Spool::Mount::unreadable || cadence_.waiting() > 0) {
    return Sign::no_flash;
  }
  if (radar_ == RadarState::silent) {
    return Sign::no_radar;
  }
  if (!network) {
    return Sign::no_wifi;
  }
  return session_.up() ? Sign::well : Sign::no_platform;
}

void Bedside::on_state(bool up) {
  recorder_.courier().on_state(up);
  update_.on_state(up);
}

void Bedside::on_ack(int id) {
  recorder_.courier().on_ack(id);
  update_.on_ack(id);
}

void Bedside::on_message(DownChannel channel, const std::uint8_t* data, std::size_t size) {
  if (channel == DownChannel::ota) {
    update_.on_message(data, size);
  } else {
    recorder_.courier().on_message(channel, data, size);
  }
}

std::size_t Bedside::last_will(char (&json)[kMostWill]) {
  static_assert(Courier::kStatusSize <= kMostWill);
  char status[Courier::kStatusSize];
  const std::size_t size = recorder_.courier().status("lost", status);
  std::copy_n(status, size, json);
  return size;
}

}  // namespace noctis
