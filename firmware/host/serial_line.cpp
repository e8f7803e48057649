#include "serial_line.hpp"

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

namespace noctis::host {

SerialLine::~SerialLine() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

bool SerialLine::open(const std::string& path) {
  descriptor_ = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK);
  termios settings{};
  if (descriptor_ < 0 || ::tcgetattr(descriptor_, &settings) != 0) {
    return false;
  }
  ::cfmakeraw(&settings);
  return ::tcsetattr(descriptor_, TCSANOW, &settings) == 0;
}

std::size_t SerialLine::read(std::uint8_t* to, std::size_t size) const {
  const ssize_t count = descriptor_ >= 0 ? ::read(descriptor_, to, size) : 0;
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

void SerialLine::write(const std::uint8_t* data, std::size_t size) {
  constexpr int kPatienceMs = 100;
  while (size > 0 && descriptor_ >= 0) {
    pollfd waited{descriptor_, POLLOUT, 0};
    const ssize_t count =
        ::poll(&waited, 1, kPatienceMs) > 0 ? ::write(descriptor_, data, size) : -1;
    if (count <= 0) {
      return;  // nobody reads: a board's line loses it likewise
    }
    data += count;
    size -= static_cast<std::size_t>(count);
  }
}

}  // namespace noctis::host
