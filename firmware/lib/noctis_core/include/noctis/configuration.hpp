// The configuration that the device follows: stored before it is followed, told to the
// platform.
#pragma once

#include <cstddef>
#include <cstdint>

#include "noctis/board.hpp"
#include "noctis/clock.hpp"
#include "noctis/config.hpp"
#include "noctis/log.hpp"
#include "noctis/owed.hpp"
#include "noctis/store.hpp"
#include "noctis/uplink.hpp"

namespace noctis {

class Configuration {
 public:
  Configuration(Store& store, Board& board, Uplink& uplink, const Clock& clock, Log& log)
      : store_(store), board_(board), uplink_(uplink), clock_(clock), log_(log) {}

  // After a boot: follows what was stored for that owner. Another owner's is forgotten.
  void begin(std::uint32_t owner);
  void on_state(bool up);
  void on_ack(int id) { report_.on_ack(id); }
  // A configuration of the platform. An older version than the one followed is passed over; the
  // same one changes nothing, and is reported again.
  void on_message(const std::uint8_t* data, std::size_t size);
  // Sends the report that is due.
  void poll();
  std::uint64_t wake_ms() const { return report_.wake_ms(); }

  // As one that was never configured. False where the store does not take it.
  bool forget();

  const Settings& settings() const { return config_.settings; }
  std::uint32_t version() const { return config_.version; }

 private:
  void follow(const Config& config);
  bool keep(const std::uint8_t* data, std::size_t size);

  Store& store_;
  Board& board_;
  Uplink& uplink_;
  const Clock& clock_;
  Log& log_;
  Config config_;
  Owed report_;
  std::uint32_t owner_ = 0;
};

}  // namespace noctis
