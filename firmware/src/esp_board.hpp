// The board: restart, light, and how it is.
#pragma once

#include "noctis/board.hpp"

namespace noctis::esp {

class EspBoard : public Board {
 public:
  void begin();
  // Lights up or not, as the pattern of the moment wants it.
  void set_light(bool on);
  bool light_allowed() const { return allowed_; }
  // Milliseconds of the monotonic clock until which it shows itself.
  bool identifying(std::uint64_t now_ms) const { return now_ms < identify_until_ms_; }

  void restart() override;
  void identify(std::uint32_t seconds) override;
  void allow_light(bool allowed) override { allowed_ = allowed; }
  ResetReason reset_reason() const override;
  std::optional<std::uint32_t> free_heap() const override;
  std::optional<std::uint32_t> least_free_heap() const override;
  std::optional<std::uint32_t> stack_left() const override;
  std::optional<std::int8_t> rssi() const override;

 private:
  bool allowed_ = true;
  bool lit_ = false;
  std::uint64_t identify_until_ms_ = 0;
};

// Tells this board and its flash chip from any other: for the spool's sectors.
std::uint32_t chip_tag(std::uint32_t flash_id);
// From the hardware's noise.
std::uint64_t random_bits();

}  // namespace noctis::esp
