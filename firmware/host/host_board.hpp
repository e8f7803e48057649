// A computer as a device's board.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "noctis/board.hpp"

namespace noctis::host {

class HostBoard : public Board {
 public:
  using Say = std::function<void(const std::string& message)>;

  // `say` tells a person what a light would show.
  HostBoard(ResetReason reason, Say say) : reason_(reason), say_(std::move(say)) {}

  void restart() override { restart_due_ = true; }
  // The device is to begin anew.
  bool restart_due() const { return restart_due_; }
  void identify(std::uint32_t seconds) override;
  void allow_light(bool allowed) override;

  ResetReason reset_reason() const override { return reason_; }
  // Of the process: what the C library holds and nobody uses. Nothing where it does not say.
  std::optional<std::uint32_t> free_heap() const override;
  std::optional<std::uint32_t> least_free_heap() const override;
  std::optional<std::uint32_t> stack_left() const override { return std::nullopt; }
  std::optional<std::int8_t> rssi() const override { return std::nullopt; }

 private:
  ResetReason reason_;
  Say say_;
  bool restart_due_ = false;
  bool light_ = true;
  mutable std::optional<std::uint32_t> least_free_heap_;
};

}  // namespace noctis::host
