// Which of two images boots, as the ESP32's boot loader has it with rollback enabled: two
// entries, a sector each, of which one is always whole. The newest that did not fail is the one
// that counts.
#pragma once

#include <cstdint>
#include <optional>

#include "noctis/flash.hpp"

namespace noctis::host {

class OtaData {
 public:
  static constexpr std::uint32_t kSectors = 2;

  explicit OtaData(Flash& flash) : flash_(flash) {}

  // The boot loader's choice of a slot, 0 or 1. An image boots on trial the first time; one
  // that boots on trial again has failed.
  unsigned boot();
  // The slot's image could not be started.
  void could_not_start(unsigned slot) { set(slot, State::failed); }

  // Of the running image's slot.
  bool on_trial(unsigned slot);
  bool keep(unsigned slot) { return set(slot, State::valid); }
  bool give_up(unsigned slot) { return set(slot, State::failed); }
  // Of the other one.
  bool failed(unsigned slot);
  bool select(unsigned slot);

 private:
  enum class State : std::uint32_t { fresh = 0, on_trial = 1, valid = 2, failed = 3 };
  struct Entry {
    std::uint32_t seq;  // slot + 1 modulo 2
    State state;
    unsigned sector;
    unsigned slot() const { return (seq - 1) % 2; }
  };

  std::optional<Entry> read(unsigned sector);
  std::optional<Entry> newest();
  bool write(const Entry& entry);
  bool set(unsigned slot, State state);

  Flash& flash_;
};

}  // namespace noctis::host
