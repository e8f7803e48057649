#include "portal_sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace noctis {
namespace {

constexpr int kMostNames = 8;  // answered at a time
constexpr std::size_t kMostQuery = 512;

int bound(int kind, const char* address, std::uint16_t port, Ipv4& ipv4) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(port);
  if (::inet_pton(AF_INET, address, &place.sin_addr) != 1) {
    return -1;
  }
  std::memcpy(ipv4.data(), &place.sin_addr, ipv4.size());
  const int made = ::socket(AF_INET, kind, 0);
  const int on = 1;
  if (made < 0 || ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::fcntl(made, F_SETFL, O_NONBLOCK) != 0 ||
      ::bind(made, reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0) {
    if (made >= 0) {
      ::close(made);
    }
    return -1;
  }
  return made;
}

}  // namespace

// An answer fits into a fresh socket's buffer; whoever does not take it whole gets no more.
void PortalSockets::Guest::write(const std::uint8_t* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, data, size, 0);
    if (sent <= 0) {
      return;
    }
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

bool PortalSockets::open() {
  if (page_ != kNone) {
    return true;
  }
  page_ = bound(SOCK_STREAM, address_, page_port_, ipv4_);
  dns_ = bound(SOCK_DGRAM, address_, dns_port_, ipv4_);
  if (page_ == kNone || dns_ == kNone ||
      ::listen(page_, static_cast<int>(Portal::kVisits)) != 0) {
    close();
    return false;
  }
  return true;
}

void PortalSockets::close() {
  for (int* const socket : {&page_, &dns_}) {
    if (*socket != kNone) {
      ::close(*socket);
    }
    *socket = kNone;
  }
  for (Guest& guest : guests_) {
    if (guest.socket != kNone) {
      ::close(guest.socket);
    }
    guest.socket = kNone;
  }
}

bool PortalSockets::poll(Portal& portal) {
  if (!portal.is_open()) {
    close();
    return true;
  }
  if (!open()) {
    return false;
  }
  answer_names();
  welcome(portal);
  for (std::size_t i = 0; i < guests_.size(); ++i) {
    if (guests_[i].socket != kNone) {
      serve(portal, i);
    }
  }
  return true;
}

// Who finds no place waits with the system until one is free.
void PortalSockets::welcome(Portal& portal) {
  for (std::size_t i = 0; i < guests_.size(); ++i) {
    if (guests_[i].socket != kNone) {
      continue;
    }
    const int come = ::accept(page_, nullptr, nullptr);
    if (come < 0) {
      return;
    }
    if (::fcntl(come, F_SETFL, O_NONBLOCK) != 0) {
      ::close(come);
      return;
    }
    guests_[i].socket = come;
    guests_[i].leaving = false;
    portal.begin_visit(i);
  }
}

void PortalSockets::serve(Portal& portal, std::size_t number) {
  Guest& guest = guests_[number];
  std::array<std::uint8_t, 256> bytes{};
  const ssize_t count = ::recv(guest.socket, bytes.data(), bytes.size(), 0);
  const bool gone = count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
  if (gone || portal.overdue(number)) {
    dismiss(portal, number);
  } else if (count > 0 && !guest.leaving &&
             portal.push(number, bytes.data(), static_cast<std::size_t>(count), guest)) {
    // To close what still has bytes to read would take the answer with it.
    guest.leaving = true;
    ::shutdown(guest.socket, SHUT_WR);
  }
}

void PortalSockets::dismiss(Portal& portal, std::size_t number) {
  ::close(guests_[number].socket);
  guests_[number].socket = kNone;
  portal.end_visit(number);
}

void PortalSockets::answer_names() const {
  std::array<std::uint8_t, kMostQuery> query{};
  std::array<std::uint8_t, kMostDnsAnswer> answer{};
  for (int i = 0; i < kMostNames; ++i) {
    sockaddr_in from{};
    socklen_t from_size = sizeof from;
    auto* const asker = reinterpret_cast<sockaddr*>(&from);
    const ssize_t count = ::recvfrom(dns_, query.data(), query.size(), 0, asker, &from_size);
    if (count < 0) {
      return;
    }
    const std::size_t size =
        answer_dns(query.data(), static_cast<std::size_t>(count), ipv4_, answer);
    if (size > 0) {
      ::sendto(dns_, answer.data(), size, 0, asker, from_size);
    }
  }
}

}  // namespace noctis
