// A device as far as every machine is one: sensor bytes in, epochs into the spool, then live.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/courier.hpp"
#include "noctis/epoch_builder.hpp"
#include "noctis/spool.hpp"
#include "noctis/timekeeper.hpp"

namespace noctis {

// What a recorder needs of its machine; all of it must outlive the recorder.
struct Machine {
  Flash& flash;
  SpoolIdentity identity;
  Uplink& uplink;
  const Clock& clock;  // of the protocol; a night that is played runs on another one
  WallClock& wall_clock;
  Store& store;
  Board& board;
  const char* firmware;  // name and version
  std::uint64_t seed;    // only spreads the devices' repeats
};

class Recorder {
 public:
  explicit Recorder(const Machine& machine);

  // What the flash holds. A chip that cannot be read because its erase was cut off is none of
  // those: the erase goes on, and the board restarts behind it.
  Spool::Mount boot();
  Spool& spool() { return spool_; }
  EpochBuilder& builder() { return builder_; }
  Courier& courier() { return courier_; }

  // The epoch that ends now.
  Epoch finish(std::uint32_t now_ms);
  // Durable first: the epoch's seq once it is; nothing if the flash refuses.
  std::optional<std::uint32_t> keep(const Epoch& epoch, std::uint64_t start_ms);
  // Then live. False if it could not go out: it is backlog then.
  bool publish(std::uint32_t seq) { return courier_.epoch_made(seq); }
  // Sends what is due, and does a piece of what may take its time.
  void poll();

 private:
  WallClock& wall_clock_;
  Spool spool_;
  Courier courier_;
  Timekeeper timekeeper_;
  EpochBuilder builder_;
};

// What a board does that lives in real time: an epoch every 30 s, whatever the flash does.
class Cadence {
 public:
  // Epochs that wait for a flash that takes no writes; further ones push out the oldest.
  static constexpr std::size_t kMostWaiting = 8;

  explicit Cadence(Recorder& recorder) : recorder_(recorder) {}

  // Begins the first epoch.
  void begin(std::uint64_t now_ms);
  // Finishes the epoch that is due, and brings what waits into the flash; to be called every
  // few milliseconds. Returns true when an epoch was made.
  bool step(std::uint64_t now_ms);

  // The newest epoch that the flash took since this was asked last.
  std::optional<std::uint32_t> take_kept() {
    const auto kept = kept_;
    kept_.reset();
    return kept;
  }
  std::size_t waiting() const { return waiting_; }
  // Epochs that no flash took.
  std::uint32_t lost() const { return lost_; }

 private:
  struct Made {
    Epoch epoch;
    std::uint64_t start_ms;
  };

  void keep();

  Recorder& recorder_;
  std::array<Made, kMostWaiting> made_{};  // the oldest first
  std::size_t waiting_ = 0;
  std::uint32_t lost_ = 0;
  std::optional<std::uint32_t> kept_;
  std::uint64_t start_ms_ = 0;
  std::uint64_t retry_ms_ = 0;  // the flash is not to be asked before
};

}  // namespace noctis
