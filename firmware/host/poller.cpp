#include "poller.hpp"

#include <cmath>

#ifdef __linux__
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#else
#include <poll.h>
#endif

namespace noctis::host {
namespace {

int milliseconds(double seconds) { return static_cast<int>(std::ceil(1000 * seconds)); }

}  // namespace

#ifdef __linux__

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
Poller::~Poller() { ::close(epoll_); }

void Poller::watch(std::size_t owner, int socket, unsigned connection, bool for_writing) {
  if (owner >= watched_.size()) {
    watched_.resize(owner + 1);
  }
  Watched& watched = watched_[owner];
  const bool fresh = watched.socket != socket || watched.connection != connection;
  if (!fresh && watched.for_writing == for_writing) {
    return;
  }
  watched = {socket, connection, for_writing};
  if (socket < 0) {
    return;  // the kernel forgets a socket when it is closed
  }
  epoll_event event{};
  event.events = EPOLLIN | (for_writing ? EPOLLOUT : 0U);
  event.data.u64 = owner;
  ::epoll_ctl(epoll_, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
}

const std::vector<ReadySocket>& Poller::wait(double seconds) {
  std::array<epoll_event, 256> events{};
  const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                 milliseconds(seconds));
  ready_.clear();
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events.at(static_cast<std::size_t>(i));
    ready_.push_back({static_cast<std::size_t>(event.data.u64),
                      (event.events & ~static_cast<unsigned>(EPOLLOUT)) != 0,
                      (event.events & EPOLLOUT) != 0});
  }
  return ready_;
}

#else

Poller::Poller() = default;
Poller::~Poller() = default;

void Poller::watch(std::size_t owner, int socket, unsigned connection, bool for_writing) {
  if (owner >= watched_.size()) {
    watched_.resize(owner + 1);
  }
  watched_[owner] = {socket, connection, for_writing};
}

const std::vector<ReadySocket>& Poller::wait(double seconds) {
  std::vector<pollfd> sockets;
  for (const Watched& watched : watched_) {  // poll() passes over -1
    sockets.push_back(
        {watched.socket, static_cast<short>(POLLIN | (watched.for_writing ? POLLOUT : 0)), 0});
  }
  ::poll(sockets.data(), static_cast<nfds_t>(sockets.size()), milliseconds(seconds));
  ready_.clear();
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (sockets[i].revents != 0) {
      ready_.push_back(
          {i, (sockets[i].revents & ~POLLOUT) != 0, (sockets[i].revents & POLLOUT) != 0});
    }
  }
  return ready_;
}

#endif

}  // namespace noctis::host
