// One virtual device: a night's sensors, the firmware's core, a flash chip, a connection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "device_clock.hpp"
#include "epoch_log.hpp"
#include "mosquitto_uplink.hpp"
#include "night.hpp"
#include "night_file.hpp"
#include "noctis/courier.hpp"
#include "noctis/epoch_builder.hpp"
#include "noctis/spool.hpp"
#include "noctis/timekeeper.hpp"
#include "nor_file.hpp"
#include "pace.hpp"
#include "sensors.hpp"

namespace noctis::host {

struct DeviceSettings {
  std::string tenant;
  std::string device;
  std::string password;
  std::string broker;
  int port = 1883;
  std::string nor;
  std::string log;
  std::string night;  // tells one night from another
  double speed = 1;
  std::optional<double> start_s;  // unix seconds
  double clock_after_s = 0;
  std::optional<std::uint64_t> clock_fault_seed;
  double delay_s = 0;  // spreads a fleet over the 30 s
  bool network = true;
  double grace_s = 3;     // see Pace
  bool talkative = true;  // says where it begins
};

class Device {
 public:
  // The night must outlive the device.
  Device(DeviceSettings settings, const Night& night);

  // Opens the chip and the log, finds where the night goes on. On failure: why.
  bool open(std::string& error);

  // Does what is due at now_s (seconds of one steady clock); returns the time of the next call.
  double step(double now_s);
  MosquittoUplink& uplink() { return *uplink_; }
  // Says goodbye to the broker.
  void close();

  std::string name() const { return settings_.tenant + "/" + settings_.device; }
  std::uint64_t made() const { return epoch_; }
  std::uint64_t epochs() const { return night_.epochs(); }
  std::uint32_t backlog() const { return spool_->backlog(); }
  std::uint32_t overwritten() const { return spool_->overwritten(); }
  bool played() const { return epoch_ == night_.epochs() && !pending_; }
  // The night is over and the platform has all of it.
  bool finished() const { return played() && logged_ && spool_->backlog() == 0; }

 private:
  bool open_spool(std::string& error);
  bool find_place(double wall_s, std::string& error);
  std::uint32_t epochs_since(std::uint32_t seq);
  void begin(double boot_utc_s);
  std::uint64_t start_ms(std::uint64_t epoch) const;
  std::uint64_t due_ms() const;
  Epoch make_epoch();
  void keep_epoch(const Epoch& epoch);
  void log(std::uint32_t seq, std::optional<double> published_at);
  Traffic traffic();
  void say(const std::string& message) const;

  DeviceSettings settings_;
  const Night& night_;
  std::unique_ptr<NorFile> nor_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Pace> pace_;
  std::unique_ptr<DeviceClock> clock_;
  std::unique_ptr<MosquittoUplink> uplink_;
  std::unique_ptr<Courier> courier_;
  EpochLog log_;
  Timekeeper timekeeper_;
  EpochBuilder builder_;
  SensorFeed feed_;
  NightMark mark_{};
  std::uint64_t epoch_ = 0;        // of the night, the next to be made
  std::uint64_t first_epoch_ = 0;  // of this boot
  std::optional<Epoch> pending_;   // made, but the spool did not take it yet
  bool logged_ = true;             // nothing of the spool is missing in the log
  double now_s_ = 0;
  double retry_at_s_ = 0;
  double network_alive_s_ = 0;  // when it last did anything
};

}  // namespace noctis::host
