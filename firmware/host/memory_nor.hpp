// A NOR chip in memory whose power can be cut in the middle of a write.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "noctis/flash.hpp"

namespace noctis::host {

class MemoryNor : public Flash {
 public:
  explicit MemoryNor(std::uint32_t sectors);

  // The write after `writes` more is half done, the later ones are lost.
  void cut_after(int writes) { writes_left_ = writes; }
  void power_on() { writes_left_.reset(); }

  std::uint32_t sectors() const override;
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override;
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override;
  bool erase(std::uint32_t sector) override;

  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::size_t powered(std::size_t size);

  std::vector<std::uint8_t> bytes_;
  std::optional<int> writes_left_;
};

}  // namespace noctis::host
