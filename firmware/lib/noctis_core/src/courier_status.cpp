// What a device says of itself.
#include <algorithm>
#include <string_view>

#include "noctis/courier.hpp"

namespace noctis {

void Courier::send_status() {
  const std::uint64_t every_ms = std::uint64_t{1000} * configuration_.settings().report_s;
  status_due_ms_ = std::min(status_due_ms_, told_ms_ + every_ms);
  if (health_ != told_.health || wall_clock_.source() != told_.source ||
      configuration_.version() != told_.config) {
    status_due_ms_ = std::min(status_due_ms_, told_ms_ + kStatusPauseMs);
  }
  if (clock_.monotonic_ms() >= status_due_ms_) {
    publish_status("online");
  }
}

// What is not as it was, for whoever reads the log.
void Courier::tell_changes() {
  const ClockSource source = wall_clock_.source();
  if (source != logged_.source) {
    log_.write(LogLevel::info, "the clock is told by %s", name_of(source));
  }
  if (health_ != logged_.health) {
    const bool well = health_.radar == RadarState::ok && health_.accel == AccelState::ok;
    log_.write(well ? LogLevel::info : LogLevel::warning, "radar %s, accelerometer %s",
               name_of(health_.radar), name_of(health_.accel));
  }
  logged_ = {health_, source, configuration_.version()};
}

std::size_t Courier::status(const char* state, char (&json)[kStatusSize]) const {
  std::string_view firmware(firmware_);
  firmware.remove_suffix(firmware.size() - std::min(firmware.size(), kMostFirmware));
  JsonWriter writer(json);
  writer.text("state", state);
  writer.hex("stream", spool_.stream());
  writer.number("oldest_seq", std::uint64_t{spool_.oldest_seq()});
  writer.number("next_seq", std::uint64_t{spool_.next_seq()});
  writer.number("backlog", std::uint64_t{spool_.backlog()});
  writer.number("overwritten", std::uint64_t{spool_.overwritten()});
  writer.number("damaged", std::uint64_t{spool_.damaged()});
  writer.text("firmware", firmware);
  writer.text("clock", name_of(wall_clock_.source()));
  writer.text("radar", name_of(health_.radar));
  writer.text("radar_family", name_of(health_.family));
  writer.text("accelerometer", name_of(health_.accel));
  writer.number("accelerometer_id", std::uint64_t{health_.accel_id});
  writer.number("config", std::uint64_t{configuration_.version()});
  diagnostics_.write(writer);
  return writer.finish();
}

void Courier::publish_status(const char* state) {
  char json[kStatusSize];
  const std::size_t size = status(state, json);
  const int id =
      uplink_.publish(Channel::status, reinterpret_cast<const std::uint8_t*>(json), size);
  diagnostics_.sent(id);
  told_ms_ = clock_.monotonic_ms();
  const std::uint64_t every_ms = std::uint64_t{1000} * configuration_.settings().report_s;
  status_due_ms_ = told_ms_ + (id < 0 ? kStatusPauseMs : every_ms);
  if (id >= 0) {
    told_ = {health_, wall_clock_.source(), configuration_.version()};
  }
}

}  // namespace noctis
