// A device as it leaves its box: nobody's until it is claimed, then whoever's its store says.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "file_store.hpp"
#include "fleet.hpp"
#include "host_portal.hpp"
#include "noctis/provisioner.hpp"
#include "options.hpp"
#include "room.hpp"
#include "serial_line.hpp"

namespace noctis::host {

class BoxedDevice {
 public:
  explicit BoxedDevice(const Options& options) : options_(options) {}

  // On failure: what was wrong and what to do.
  bool open(std::string& error);
  // Boots, and boots again whenever somebody claimed it, until *stop is set, what was asked for
  // is done, or the boot loader is to choose an image (`boot_due`). As Fleet::run().
  bool run(const volatile int* stop, std::string& error);
  bool boot_due() const { return boot_due_; }

 private:
  enum class End : std::uint8_t { restart, stop, failed };

  End boot(const volatile int* stop, std::string& error);
  End live(const Identity& identity, const volatile int* stop, std::string& error);
  void attend();
  Options options_of(const Identity& identity) const;

  const Options& options_;
  std::unique_ptr<FileStore> store_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<Room> room_;
  SerialLine line_;
  std::unique_ptr<Provisioner> provisioner_;  // of this boot
  std::unique_ptr<HostPortal> portal_;        // of this boot; null: none
  std::string why_;                           // there is no connection
  bool boot_due_ = false;
};

}  // namespace noctis::host
