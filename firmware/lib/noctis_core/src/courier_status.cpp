// What a device says of itself.
#include <algorithm>
#include <cstdio>

#include "noctis/courier.hpp"

namespace noctis {

void Courier::send_status() {
  if (health_ != told_.health || wall_clock_.source() != told_.source) {
    status_due_ms_ = std::min(status_due_ms_, told_ms_ + kStatusPauseMs);
  }
  if (clock_.monotonic_ms() >= status_due_ms_) {
    publish_status("online");
  }
}

std::size_t Courier::status(const char* state, char (&json)[kStatusSize]) const {
  const int size = std::snprintf(
      json, sizeof json,
      R"({"state":"%s","stream":"%016llx","oldest_seq":%lu,"next_seq":%lu,"backlog":%lu,)"
      R"("overwritten":%lu,"damaged":%lu,"firmware":"%.*s","clock":"%s",)"
      R"("radar":"%s","radar_family":"%s","accelerometer":"%s","accelerometer_id":%u})",
      state, static_cast<unsigned long long>(spool_.stream()),
      static_cast<unsigned long>(spool_.oldest_seq()),
      static_cast<unsigned long>(spool_.next_seq()),
      static_cast<unsigned long>(spool_.backlog()),
      static_cast<unsigned long>(spool_.overwritten()),
      static_cast<unsigned long>(spool_.damaged()), static_cast<int>(kMostFirmware), firmware_,
      name_of(wall_clock_.source()), name_of(health_.radar), name_of(health_.family),
      name_of(health_.accel), static_cast<unsigned>(health_.accel_id));
  return static_cast<std::size_t>(std::clamp(size, 0, static_cast<int>(sizeof json) - 1));
}

void Courier::publish_status(const char* state) {
  char json[kStatusSize];
  const std::size_t size = status(state, json);
  const int id =
      uplink_.publish(Channel::status, reinterpret_cast<const std::uint8_t*>(json), size);
  told_ms_ = clock_.monotonic_ms();
  status_due_ms_ = told_ms_ + (id < 0 ? kStatusPauseMs : kStatusMs);
  if (id >= 0) {
    told_ = {health_, wall_clock_.source()};
  }
}

}  // namespace noctis
