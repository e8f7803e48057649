// Virtual time. With a limit of speed the night is an open loop: its epochs are due on
// schedule, whatever the network does. Without one it goes as fast as the network takes it. The
// protocol's timers never run so fast that a busy platform would seem a silent one: what a real
// device would not do, a fast one does not do either (repeat what is on its way).
#pragma once

#include <cstdint>

#include "noctis/clock.hpp"

namespace noctis::host {

// What the virtual time has to wait for.
struct Traffic {
  bool up;           // the connection
  bool in_flight;    // something awaits the platform's answer
  bool window_full;  // the live window
  double silent_s;   // seconds of the wall since the network last did anything
};

class Pace : public Clock {
 public:
  struct Settings {
    double speed;    // virtual seconds a second, or infinity
    bool network;    // false: nothing to wait for
    double grace_s;  // a silence of the wall that a busy network may keep
  };
  // Boots at that true time, milliseconds since 1970.
  explicit Pace(const Settings& settings, std::uint64_t utc_ms = 0)
      : settings_(settings), boot_utc_ms_(utc_ms) {}
  // Boots again: everything since boot begins anew.
  void boot(std::uint64_t utc_ms);

  // Lets `seconds` of the wall's time pass. Without a limit of speed the night
  // goes on to `night_due_ms`, the end of the epoch under construction.
  void pass(double seconds, const Traffic& traffic, std::uint64_t night_due_ms);

  // True while the night waits for the network: no epoch is to be made.
  bool held() const { return last_night_rate_ == 0; }
  // Time of the night since boot. Epochs are made on it.
  std::uint64_t night_ms() const { return static_cast<std::uint64_t>(night_ms_); }
  // True UTC, whatever the device's clock says; milliseconds since 1970.
  std::uint64_t utc_at(std::uint64_t night_ms) const { return boot_utc_ms_ + night_ms; }

  // Seconds of the wall until the night, or the protocol, is at that moment.
  double until_night(std::uint64_t night_ms) const;
  double until_protocol(std::uint64_t protocol_ms) const;

  // The protocol's time.
  std::uint64_t monotonic_ms() const override {
    return static_cast<std::uint64_t>(protocol_ms_);
  }

 private:
  double night_rate(const Traffic& traffic) const;
  double protocol_rate(const Traffic& traffic) const;

  Settings settings_;
  std::uint64_t boot_utc_ms_;
  double night_ms_ = 0;
  double protocol_ms_ = 0;
  double last_night_rate_ = 1;
  double last_protocol_rate_ = 1;
};

}  // namespace noctis::host
