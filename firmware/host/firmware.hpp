// The firmware between a boot and the end of power: all that a device has in RAM.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "device_clock.hpp"
#include "link.hpp"
#include "mosquitto_uplink.hpp"
#include "noctis/flash.hpp"
#include "noctis/recorder.hpp"
#include "noctis/update.hpp"
#include "pace.hpp"
#include "update_board.hpp"

namespace noctis::host {

class Firmware {
 public:
  // All of it must outlive the firmware.
  struct Hardware {
    Flash& flash;
    std::uint32_t chip;  // its tag
    const Pace& pace;
    DeviceClock::Settings clock;
    Store& store;
    Board& board;
    bool network;
    UpdateBoard* updates;  // null: none
  };

  Firmware(const Hardware& hardware, const MosquittoUplink::Settings& network,
           std::function<void(const std::string&)> on_trouble);

  Recorder& recorder() { return recorder_; }
  Spool& spool() { return recorder_.spool(); }
  MosquittoUplink& uplink() { return uplink_; }

  // Serves the connection at now_s (seconds of one steady clock) over a link in that state.
  // Returns the seconds until it wants to be called again.
  double serve(double now_s, Link link);
  // SNTP says what it has to say by now.
  void hear_sntp() { clock_.step(); }
  // Behind the boot of the recorder.
  void begin_update();
  // The spool took an epoch.
  void epoch_kept(std::uint32_t seq);
  // An update wants the boot loader to choose anew.
  bool boot_due() const { return update_ && update_->restart_due(); }
  // Sends what is due; returns the seconds until something is again.
  double send();
  // What virtual time has to wait for.
  Traffic traffic();

  // Says goodbye to the broker.
  void close();

 private:
  MosquittoUplink::Events events(std::function<void(const std::string&)> on_trouble);
  void receive(DownChannel channel, const std::uint8_t* data, std::size_t size);

  const Hardware hardware_;
  DeviceClock clock_;
  MosquittoUplink uplink_;
  Recorder recorder_;
  std::optional<Update> update_;
  double now_s_ = 0;
  double network_alive_s_ = 0;  // when it last did anything
};

}  // namespace noctis::host
