// Waits for many sockets at once, at a cost that does not grow with those that are quiet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace noctis::host {

struct ReadySocket {
  std::size_t owner;
  bool readable;  // or broken
  bool writable;
};

enum class Interest : std::uint8_t { none, reading, reading_and_writing };

class Poller {
 public:
  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  // Watches this socket of `owner` (0, 1, ...) instead of the one before, which may be closed
  // already; -1: none. `connection` tells a new socket from an old one of the same number.
  void watch(std::size_t owner, int socket, unsigned connection, Interest interest);
  // Waits up to `seconds`; returns who is ready, valid until the next call.
  const std::vector<ReadySocket>& wait(double seconds);

 private:
  struct Watched {
    int socket = -1;
    unsigned connection = 0;
    Interest interest = Interest::none;
  };

  std::vector<Watched> watched_;
  std::vector<ReadySocket> ready_;
  int epoll_ = -1;
};

}  // namespace noctis::host
