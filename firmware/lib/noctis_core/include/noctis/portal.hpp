// The page on which a device gets its network and its identity from any browser: the fallback
// for who has no cable. docs/provisioning.md tells the whole of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "noctis/clock.hpp"
#include "noctis/http_head.hpp"
#include "noctis/long_press.hpp"
#include "noctis/provisioner.hpp"
#include "noctis/store.hpp"

namespace noctis {

// A Wi-Fi network of the device's own.
class AccessPoint {
 public:
  AccessPoint() = default;
  AccessPoint(const AccessPoint&) = delete;
  AccessPoint& operator=(const AccessPoint&) = delete;
  virtual ~AccessPoint() = default;

  // WPA2; for few guests.
  virtual bool open(const char* name, const char* password) = 0;
  virtual void close() = 0;
};

class Portal {
 public:
  static constexpr std::size_t kVisits = 4;  // at a time: browsers open some for nothing
  static constexpr std::size_t kMostBody = 6144;
  static constexpr std::size_t kMostAnswer = 4096;   // bytes: a fresh socket takes them whole
  static constexpr std::uint64_t kVisitMs = 10'000;  // from connecting to the last byte
  static constexpr std::uint64_t kOpenMs = 15 * 60'000;  // then the network goes
  static constexpr std::size_t kPasswordSize = 12;
  static constexpr const char* kPasswordName = "portal";  // in the store

  // `address`: how browsers reach it, as in "192.168.4.1" or "127.0.0.1:8080". `random`: of the
  // hardware, for the password. All of it must outlive the portal.
  struct Parts {
    Provisioner& provisioner;
    AccessPoint& access_point;
    Store& store;
    const Clock& clock;
    std::string_view address;
  };

  explicit Portal(const Parts& parts) : parts_(parts) {}

  // Finds the password, which the first boot makes and every later one keeps, and opens the
  // portal of a device that is nobody's. `tag` tells its network from its neighbours'.
  void begin(std::uint32_t tag, std::uint64_t random, std::uint64_t more_random);
  // `pressed`: the boot button is, which opens it when held.
  void poll(bool pressed);
  bool is_open() const { return open_; }
  const char* network() const { return network_.data(); }
  const char* password() const { return password_.data(); }

  // A browser's connection begins; it takes the place of the one before that had this number.
  void begin_visit(std::size_t visit);
  // Takes what it brings. True: it was answered on `to`, and is to be ended.
  bool push(std::size_t visit, const std::uint8_t* data, std::size_t size, Port& to);
  // The connection is gone, however that came.
  void end_visit(std::size_t visit);
  // It took too long, or the portal is closed.
  bool overdue(std::size_t visit) const;

 private:
  static constexpr std::size_t kNobody = kVisits;

  struct Visit {
    HttpHead head;
    std::uint64_t deadline_ms = 0;
    std::size_t body_size = 0;  // that came
    bool in_body = false;
    bool answered = true;
  };

  void open();
  void close();
  bool begin_body(std::size_t number, Port& to);
  void answer(const HttpHead& head, Port& to);
  void save(Port& to);
  void show(int status, const char* trouble, bool with_body, Port& to) const;
  void redirect(int status, Port& to) const;
  bool is_own(const HttpHead& head) const;
  const char* standing() const;

  Parts parts_;
  std::array<Visit, kVisits> visits_{};
  std::array<char, kMostBody> body_{};
  std::size_t body_of_ = kNobody;  // which visit fills it
  std::array<char, 16> network_{};
  std::array<char, kPasswordSize + 1> password_{};
  LongPress button_;
  std::uint64_t until_ms_ = 0;
  bool open_ = false;
};

}  // namespace noctis
