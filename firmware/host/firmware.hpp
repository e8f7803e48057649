// The firmware between a boot and the end of power: all that a device has in RAM.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "device_clock.hpp"
#include "link.hpp"
#include "mosquitto_uplink.hpp"
#include "noctis/courier.hpp"
#include "noctis/epoch_builder.hpp"
#include "noctis/flash.hpp"
#include "noctis/spool.hpp"
#include "noctis/timekeeper.hpp"
#include "pace.hpp"

namespace noctis::host {

class Firmware {
 public:
  // The board, which must outlive the firmware.
  struct Board {
    Flash& flash;
    std::uint32_t chip;  // its tag
    const Pace& pace;
    DeviceClock::Settings clock;
    bool network;
  };

  Firmware(const Board& board, const MosquittoUplink::Settings& network,
           std::function<void(const std::string&)> on_trouble);

  Spool::Mount boot() { return spool_.mount(); }
  Spool& spool() { return spool_; }
  EpochBuilder& builder() { return builder_; }
  // Returns the epoch that ends now.
  Epoch finish_epoch(std::uint32_t now_ms);
  MosquittoUplink& uplink() { return uplink_; }

  // Serves the connection at now_s (seconds of one steady clock) over a link in that state.
  // Returns the seconds until it wants to be called again.
  double serve(double now_s, Link link);
  // SNTP says what it has to say by now.
  void hear_sntp() { clock_.step(); }
  // Sends what is due; returns the seconds until something is again.
  double send();
  // What virtual time has to wait for.
  Traffic traffic();

  // Durable first: the epoch's seq once it is; nothing if the flash refuses.
  std::optional<std::uint32_t> keep(const Epoch& epoch, std::uint64_t start_ms);
  // Then live. False if it could not go out: it is backlog then.
  bool publish(std::uint32_t seq) { return courier_.epoch_made(seq); }

  // Says goodbye to the broker.
  void close();

 private:
  MosquittoUplink::Events events(std::function<void(const std::string&)> on_trouble);
  void receive(DownChannel channel, const std::uint8_t* data, std::size_t size);

  const Board board_;
  Spool spool_;
  DeviceClock clock_;
  MosquittoUplink uplink_;
  Courier courier_;
  Timekeeper timekeeper_;
  EpochBuilder builder_;
  double now_s_ = 0;
  double network_alive_s_ = 0;  // when it last did anything
};

}  // namespace noctis::host
