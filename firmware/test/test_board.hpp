// A board that notes what is asked of it.
#pragma once

#include <vector>

#include "noctis/board.hpp"

namespace noctis::test {

struct TestBoard : Board {
  void restart() override { ++restarts; }
  void identify(std::uint32_t seconds) override { identified.push_back(seconds); }
  void allow_light(bool allowed) override { light = allowed; }
  ResetReason reset_reason() const override { return reason; }
  std::optional<std::uint32_t> free_heap() const override { return heap; }
  std::optional<std::uint32_t> least_free_heap() const override { return least_heap; }
  std::optional<std::uint32_t> stack_left() const override { return stack; }
  std::optional<std::int8_t> rssi() const override { return signal; }

  int restarts = 0;
  std::vector<std::uint32_t> identified;
  bool light = true;
  ResetReason reason = ResetReason::power_on;
  std::optional<std::uint32_t> heap, least_heap, stack;
  std::optional<std::int8_t> signal;
};

}  // namespace noctis::test
