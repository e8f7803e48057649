#include "noctis/diagnostics.hpp"

#include <algorithm>
#include <limits>

namespace noctis {
namespace {

constexpr const char* kBoots = "boots";
constexpr std::uint32_t kSmoothing = 8;  // a new round trip counts for an eighth (RFC 6298)
constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();

}  // namespace

void Diagnostics::begin() {
  boots_ = get_number(store_, kBoots).value_or(0) + 1;
  put_number(store_, kBoots, boots_);
}

void Diagnostics::on_state(bool up) {
  connections_ += up ? 1 : 0;
  changed_ms_ = clock_.monotonic_ms();
  timed_ = kNone;
}

void Diagnostics::sent(int id) {
  if (id >= 0 && timed_ == kNone) {
    timed_ = id;
    sent_ms_ = clock_.monotonic_ms();
  }
}

void Diagnostics::on_ack(int id) {
  if (timed_ == kNone || id != timed_) {
    return;
  }
  timed_ = kNone;
  const auto trip =
      static_cast<std::uint32_t>(std::min(clock_.monotonic_ms() - sent_ms_, kMost));
  const std::uint64_t before = puback_ms_.value_or(trip);
  puback_ms_ = static_cast<std::uint32_t>((before * (kSmoothing - 1) + trip) / kSmoothing);
}

void Diagnostics::write(JsonWriter& json) const {
  json.number("boots", std::uint64_t{boots_});
  json.text("reset", name_of(board_.reset_reason()));
  json.number("uptime_s", clock_.monotonic_ms() / 1000);
  json.number("free_heap", board_.free_heap());
  json.number("least_free_heap", board_.least_free_heap());
  json.number("stack_left", board_.stack_left());
  json.number("laps", std::uint64_t{spool_.laps()});
  json.number("bad_slots", std::uint64_t{spool_.bad_slots()});
  if (const auto rssi = board_.rssi()) {
    json.integer("rssi", *rssi);
  }
  json.number("reconnects", std::uint64_t{reconnects()});
  json.number("puback_ms", puback_ms_);
}

}  // namespace noctis
