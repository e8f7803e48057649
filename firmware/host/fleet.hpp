// Any number of devices in one process, one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device.hpp"
#include "night.hpp"
#include "options.hpp"
#include "passwords.hpp"
#include "poller.hpp"

namespace noctis::host {

class Fleet {
 public:
  explicit Fleet(const Options& options) : options_(options) {}

  // Loads the nights, opens the devices. On failure: what was wrong and what to do.
  bool open(std::string& error);
  // While it runs, `service` is called all the time, until it returns false: that ends the run.
  // `network` says whether there is one.
  void attend(std::function<bool()> service, const std::function<bool()>& network);
  // Runs until everything is done (--once, --offline) or *stop is set; then says goodbye. False
  // if a device did what it must never do; `error` says what.
  bool run(const volatile int* stop, std::string& error);
  // It ended because the boot loader is to choose an image.
  bool boot_due() const;
  // Of the first device; null while its power is off.
  const MosquittoUplink* uplink() { return devices_.front()->uplink(); }

 private:
  bool load_nights(std::string& error);
  DeviceSettings settings_of(int index, const Passwords& passwords);
  bool done() const;
  bool step(std::size_t index, double now_s, std::string& error);
  bool step_all(const volatile int* stop, double& next_s, std::string& error);
  void say(const std::string& message);
  void wait(double until_s);
  void report(double now_s);
  std::string summary() const;

  const Options& options_;
  std::vector<Night> nights_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<double> wake_s_;  // one a device
  Poller poller_;
  std::function<bool()> service_;  // empty: none
  double report_at_s_ = 0;
  double report_every_s_ = 0;
  std::string last_report_;
  int said_ = 0;
};

}  // namespace noctis::host
