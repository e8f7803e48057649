// The board that the core runs on: how it restarts, shows itself, and how it is.
#pragma once

#include <cstdint>
#include <optional>

namespace noctis {

// Why the device began to run.
enum class ResetReason : std::uint8_t {
  unknown,
  power_on,
  software,  // restart(): a command, an update
  panic,     // a fault of the firmware
  watchdog,  // it hung
  brownout,  // too little voltage
  external,  // the reset pin or a debugger
  sleep,     // it woke up
};

const char* name_of(ResetReason reason);  // the word of the status JSON

// What a machine cannot tell is nothing, and left out of the status.
class Board {
 public:
  Board() = default;
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;
  virtual ~Board() = default;

  // Begins anew, as after a power cut. On the ESP32 it does not return; on a computer the
  // device stops when the call it came from has returned.
  virtual void restart() = 0;
  // Shows for so long which device this is (a blinking light), beginning anew where it is shown
  // already; 0 ends it. Returns at once.
  virtual void identify(std::uint32_t seconds) = 0;
  // Whether the light may be on otherwise.
  virtual void allow_light(bool allowed) = 0;

  virtual ResetReason reset_reason() const = 0;
  // Bytes that are free now, and the fewest since boot.
  virtual std::optional<std::uint32_t> free_heap() const = 0;
  virtual std::optional<std::uint32_t> least_free_heap() const = 0;
  // The fewest bytes that the stack of the task which polls the core had left since boot.
  virtual std::optional<std::uint32_t> stack_left() const = 0;
  // Of the access point, dBm.
  virtual std::optional<std::int8_t> rssi() const = 0;
};

}  // namespace noctis
