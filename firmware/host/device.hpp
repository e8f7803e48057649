// One virtual device: a night's sensors, the firmware's core, a flash chip, a connection, and
// what befalls them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "device_clock.hpp"
#include "epoch_log.hpp"
#include "faults.hpp"
#include "file_store.hpp"
#include "firmware.hpp"
#include "host_board.hpp"
#include "kept_epochs.hpp"
#include "night.hpp"
#include "night_file.hpp"
#include "nor_file.hpp"
#include "pace.hpp"
#include "powered_store.hpp"
#include "sensors.hpp"
#include "torn_flash.hpp"

namespace noctis::host {

struct DeviceSettings {
  MosquittoUplink::Settings network;
  std::string nor;
  std::string log;
  std::string night;  // tells one night from another
  double speed = 1;
  std::optional<double> start_s;  // unix seconds
  DeviceClock::Settings clock{0, false, std::nullopt};
  double delay_s = 0;  // spreads a fleet over the 30 s
  bool online = true;  // false: no network at all
  double grace_s = 3;  // see Pace
  FaultRates faults;
  SensorSetup sensors;
  std::uint64_t seed = 1;  // of the faults
  UpdateSettings updates;
  ResetReason reset = ResetReason::power_on;  // why the program began to run
  std::function<void(const std::string&)> say = [](const std::string&) {};
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
  // Asked all the time whether there is a network; without it there always is.
  void set_network(std::function<bool()> network) { network_ = std::move(network); }
  // Null while the power is off.
  MosquittoUplink* uplink() { return firmware_ ? &firmware_->uplink() : nullptr; }
  // Says goodbye to the broker.
  void close();

  std::string name() const { return settings_.network.tenant + "/" + settings_.network.device; }
  std::uint64_t made() const { return made_; }
  std::uint32_t backlog();
  std::uint32_t overwritten() { return firmware_ ? firmware_->spool().overwritten() : 0; }
  std::uint32_t link_losses() const { return link_.count(); }
  std::uint32_t power_cuts() const { return power_cuts_; }
  // The boot loader is to choose an image.
  bool boot_due() const {
    return firmware_ && (firmware_->boot_due() || (updates_ && board_->restart_due()));
  }
  // The night is over.
  bool played() const;
  // The platform has all of it, too.
  bool finished() { return firmware_ && played() && logged_ && backlog() == 0; }
  // What the core must never do, and did; empty: nothing.
  const std::string& defect() const { return defect_; }

 private:
  bool start_firmware(ResetReason reason, std::string& error);
  bool find_place(double wall_s, std::string& error);
  bool save_place();
  // From the time since boot to the night's, and back.
  double night_s(std::uint64_t ms) const;
  std::uint64_t since_boot(double night_s) const;
  std::uint64_t start_ms(std::uint64_t epoch) const { return first_ms_ + epoch * kEpochMs; }
  std::uint64_t due_ms() const { return start_ms(epoch_ + 1); }
  std::optional<std::uint64_t> next_ms() const;
  void pass(double now_s, Link link);
  double until_due();
  double until_power() const { return pace_.until_night(power_on_ms_); }
  bool have_power();
  bool erasing() { return firmware_ && firmware_->recorder().courier().erasing(); }
  void cut_power();
  void power_off(std::uint64_t at_ms, double off_s, ResetReason next);
  void power_on();
  void restart();
  Epoch make_epoch();
  void keep_epoch(const Epoch& epoch);
  void log(std::uint32_t seq, double began_at, std::optional<double> published_at);
  void say(const std::string& message) const;

  DeviceSettings settings_;
  const Night& night_;
  std::function<bool()> network_ = [] { return true; };
  std::unique_ptr<NorFile> nor_;
  std::unique_ptr<TornFlash> flash_;
  std::unique_ptr<UpdateBoard> updates_;
  std::unique_ptr<FileStore> values_;
  std::unique_ptr<PoweredStore> store_;
  std::unique_ptr<HostBoard> board_;    // of this boot
  Pace pace_;                           // since boot, and on while the power is off
  std::unique_ptr<Firmware> firmware_;  // null: the power is off
  EpochLog log_;
  KeptEpochs kept_;
  SensorFeed feed_;
  LinkFaults link_;
  PowerFaults power_;
  PowerCut cut_{};  // the next one, or the one that is on
  NightMark mark_{};
  std::int64_t boot_night_ms_ = 0;  // where in the night the device booted
  std::uint64_t first_ms_ = 0;      // since boot: when its first epoch begins
  std::uint64_t epoch_ = 0;         // of this boot, the next to be made
  std::uint64_t made_ = 0;
  std::uint64_t power_on_ms_ = 0;
  std::uint32_t power_cuts_ = 0;
  std::uint32_t backlog_ = 0;  // when the power failed
  ResetReason reason_ = ResetReason::power_on;
  bool erased_ = false;  // by command: what was kept is gone, as it should be
  std::optional<Slot> appending_;
  std::optional<Epoch> pending_;  // made, but the spool did not take it yet
  bool logged_ = true;            // nothing of the spool is missing in the log
  std::string defect_;
  double now_s_ = 0;
  double retry_at_s_ = 0;
};

}  // namespace noctis::host
