// How a device gets its Wi-Fi and its identity: over a serial line, or from its own page.
// docs/provisioning.md tells the whole of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/clock.hpp"
#include "noctis/identity.hpp"
#include "noctis/improv.hpp"
#include "noctis/store.hpp"

namespace noctis {

// What is needed of Wi-Fi. Nothing waits.
class Radio {
 public:
  struct Network {
    std::array<char, 33> name;  // with a final zero
    std::int8_t rssi;
    bool secured;
  };

  Radio() = default;
  Radio(const Radio&) = delete;
  Radio& operator=(const Radio&) = delete;
  virtual ~Radio() = default;

  // Leaves the network it is in and begins to join that one.
  virtual void join(const WifiSettings& wifi) = 0;
  // It is in the network that it was told last, and has an address there.
  virtual bool joined() = 0;
  // Begins to look for networks; then how many there are, -1 while it looks, and one of them.
  virtual void scan() = 0;
  virtual int scanned() = 0;
  virtual Network network(int index) = 0;
};

// What goes out on the serial line.
class Port {
 public:
  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  virtual ~Port() = default;

  virtual void write(const std::uint8_t* data, std::size_t size) = 0;
};

class Provisioner {
 public:
  static constexpr const char* kIdentityName = "identity";
  static constexpr const char* kWifiName = "wifi";
  // Browsers wait 30 s for the answer.
  static constexpr std::uint64_t kJoinMs = 20'000;
  static constexpr std::uint64_t kRejoinMs = 60'000;
  static constexpr std::uint64_t kScanMs = 15'000;
  static constexpr std::uint64_t kRestartMs = 1500;  // so that the answer still goes out,
  static constexpr std::uint64_t kPageMs = 8000;     // or a browser asks once more
  static constexpr int kMostNetworks = 20;           // told of a scan

  struct Firmware {
    const char* version;
    const char* chip;
  };

  Provisioner(Store& store, Radio& radio, Port& port, const Clock& clock, Firmware firmware)
      : store_(store), radio_(radio), port_(port), clock_(clock), firmware_(firmware) {}

  // Reads what is known, and joins the network that is.
  void begin();
  // What the serial line brings, cut anywhere.
  void push(const std::uint8_t* data, std::size_t size);
  void poll();

  // Nothing: the device is nobody's yet.
  const std::optional<Identity>& identity() const { return identity_; }
  bool has_wifi() const { return wifi_size_ > 0; }
  // Another identity came than the one that began: it counts from the next boot on, which is
  // due by now.
  bool restart_due() const;
  // Tries a network, in the form of read_wifi(); it is kept if it can be joined. False: it is
  // none.
  bool try_wifi(const std::uint8_t* data, std::size_t size);
  bool trying() const { return trying_; }
  // The last network that was tried could not be joined.
  bool failed() const { return failed_; }
  // What the device's page brings: a network in the form of read_wifi(), an identity, or both
  // (sizes of 0: not this one). Both are tried before anything is kept; the identity is, once
  // the device is in the network.
  enum class Offer : std::uint8_t { taken, no_network, no_identity, nothing };
  Offer offer(const std::uint8_t* wifi, std::size_t wifi_size, const std::uint8_t* identity,
              std::size_t identity_size);
  // An identity was offered and waits for a network.
  bool holds_identity() const { return holds_; }
  // Another identity came, and counts from the next boot on.
  bool claimed_anew() const { return restart_ms_ > 0; }
  // Whether there is a connection to the platform, and if not why, as far as that is known: for
  // who asks. `why` must last.
  void set_platform(bool up, const char* why) {
    platform_up_ = up;
    platform_why_ = why;
  }

 private:
  void obey(const improv::Command& command);
  void tell_state();
  void tell_info();
  void tell_link();
  void take_part(const improv::Command& command);
  void end_identity();
  void send(const improv::Packet& packet) { port_.write(packet.data(), packet.size()); }
  void join(const std::uint8_t* data, std::size_t size);
  void end_attempt(bool joined);
  bool keep_identity(std::uint64_t restart_in_ms);
  void tell_networks();
  improv::State state() const;
  // "tenant/device", or "unclaimed".
  const char* name(const std::optional<Identity>& identity);

  Store& store_;
  Radio& radio_;
  Port& port_;
  const Clock& clock_;
  Firmware firmware_;
  improv::Parser parser_;
  std::array<std::uint8_t, kMostIdentity> bytes_{};  // of the identity
  std::optional<Identity> identity_;
  std::array<std::uint8_t, kMostIdentity> parts_{};  // of one that is coming
  std::size_t parts_size_ = 0;
  std::array<std::uint8_t, kMostWifi> wifi_{};  // that is kept
  std::size_t wifi_size_ = 0;
  std::array<std::uint8_t, kMostWifi> tried_{};
  std::size_t tried_size_ = 0;
  std::array<char, 2 * kMostName + 2> name_{};
  std::uint64_t deadline_ms_ = 0;  // of the attempt, or of the next one
  std::uint64_t scan_until_ms_ = 0;
  std::uint64_t restart_ms_ = 0;  // 0: none is due
  const char* platform_why_ = "";
  bool platform_up_ = false;
  bool trying_ = false;
  bool failed_ = false;
  bool holds_ = false;          // parts_: a whole identity that was offered
  bool asked_by_line_ = false;  // the attempt: its end is told there
  bool scanning_ = false;
};

}  // namespace noctis
