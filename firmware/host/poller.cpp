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

namespace {

std::uint32_t events_of(Interest interest) {
  switch (interest) {
    case Interest::none:
      return EPOLLET;  // a hang-up is told all the same: once
    case Interest::reading:
      return EPOLLIN;
    case Interest::reading_and_writing:
    default:
      return EPOLLIN | EPOLLOUT;
  }
}

}  // namespace

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
Poller::~Poller() { ::close(epoll_); }

void Poller::watch(std::size_t owner, int socket, unsigned connection, Interest interest) {
  if (owner >= watched_.size()) {
    watched_.resize(owner + 1);
  }
  Watched& watched = watched_[owner];
  const bool fresh = watched.socket != socket || watched.connection != connection;
  if (!fresh && watched.interest == interest) {
    return;
  }
  watched = {socket, connection, interest};
  if (socket < 0) {
    return;  // the kernel forgets a socket when it is closed
  }
  epoll_event event{};
  event.events = events_of(interest);
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

namespace {

short events_of(Interest interest) {
  return interest == Interest::reading_and_writing ? POLLIN | POLLOUT : POLLIN;
}

}  // namespace

Poller::Poller() = default;
Poller::~Poller() = default;

void Poller::watch(std::size_t owner, int socket, unsigned connection, Interest interest) {
  if (owner >= watched_.size()) {
    watched_.resize(owner + 1);
  }
  watched_[owner] = {socket, connection, interest};
}

const std::vector<ReadySocket>& Poller::wait(double seconds) {
  std::vector<pollfd> sockets;
  for (const Watched& watched : watched_) {  // poll() passes over -1
    sockets.push_back({watched.interest == Interest::none ? -1 : watched.socket,
                       events_of(watched.interest), 0});
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
