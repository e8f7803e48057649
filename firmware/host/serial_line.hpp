// A serial line to whoever claims the device: a pty, as a board's USB port.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "noctis/provisioner.hpp"

namespace noctis::host {

class SerialLine : public Port {
 public:
  SerialLine() = default;
  ~SerialLine() override;

  bool open(const std::string& path);
  // What has come, without waiting. Whoever unplugs the line is not noticed, as on a board.
  std::size_t read(std::uint8_t* to, std::size_t size) const;
  void write(const std::uint8_t* data, std::size_t size) override;

 private:
  int descriptor_ = -1;
};

}  // namespace noctis::host
