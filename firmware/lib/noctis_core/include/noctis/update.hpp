// Updates over the air: an offer is checked, its image fetched into the slot that does not run,
// read back from there, and booted on trial. The new image stands once it has reached the
// broker and found the spool as it was; else the one before it comes back, and tries it again
// where something else than the image may have been the cause. docs/updates.md tells the whole
// story.
//
// It does a little at a time: one sector of flash a poll(), so that epochs go first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/backoff.hpp"
#include "noctis/board.hpp"
#include "noctis/clock.hpp"
#include "noctis/crypto.hpp"
#include "noctis/image_slots.hpp"
#include "noctis/image_source.hpp"
#include "noctis/log.hpp"
#include "noctis/offer.hpp"
#include "noctis/spool.hpp"
#include "noctis/store.hpp"
#include "noctis/update_note.hpp"
#include "noctis/uplink.hpp"
#include "noctis/wall_clock.hpp"

namespace noctis {

// What runs.
struct FirmwareId {
  const char* target;
  const char* version;
  std::uint32_t build;
};

// Whose signatures are trusted: two at once, so that one can follow the other.
struct UpdateKeys {
  std::array<PublicKey, 2> keys{};
  std::size_t count = 0;
};

class Update {
 public:
  static constexpr const char* kNoteName = "update";     // in the Store
  static constexpr std::uint64_t kTrialMs = 600'000;     // for a new image to prove itself
  static constexpr std::uint64_t kSilentMs = 30'000;     // of a server
  static constexpr std::uint64_t kLeastPauseMs = 2'000;  // behind a download that failed
  static constexpr std::uint64_t kMostPauseMs = 900'000;
  static constexpr std::uint64_t kTellMs = 5'000;          // for the last word before a boot
  static constexpr std::uint64_t kEpochEndMs = 40'000;     // that is waited for likewise
  static constexpr std::uint32_t kNotedBytes = 64 * 1024;  // of progress
  static constexpr std::uint8_t kMostAttempts = 3;         // at booting one image
  static constexpr std::size_t kReportSize = 256;

  struct Parts {
    ImageSlots& slots;
    ImageSource& source;
    Crypto& crypto;
    Store& store;
    Spool& spool;
    Uplink& uplink;
    const Clock& clock;
    const WallClock& wall_clock;
    Log& log;
  };

  Update(const Parts& parts, const FirmwareId& running, const UpdateKeys& keys,
         std::uint64_t seed, std::uint64_t trial_ms = kTrialMs)
      : parts_(parts), running_(running), keys_(keys), backoff_(seed), trial_ms_(trial_ms) {}

  // At boot, behind Spool::mount(); `why` it boots tells a crash from a loss of power.
  void begin(ResetReason why);
  void on_state(bool up);
  void on_ack(int id);
  // An offer; of no bytes: it is withdrawn.
  void on_message(const std::uint8_t* data, std::size_t size);
  // The spool took an epoch.
  void epoch_kept(std::uint32_t seq);
  void poll();
  std::uint64_t wake_ms() const;

  // The board is to be restarted: the boot loader does the rest.
  bool restart_due() const { return state_ == State::leaving_now; }
  bool on_trial() const { return state_ == State::trial; }

 private:
  enum class State : std::uint8_t {
    idle,
    offered,  // until it is known what time it is
    loading,
    verifying,
    switching,
    leaving,  // the next boot is the other image's
    leaving_now,
    trial,
  };
  // What of an offer is needed behind its check.
  struct Wanted {
    char url[kMostUrl + 1];
    std::uint32_t size;
    std::uint32_t expires_s;
  };

  void load_note();
  bool save_note();
  void take(const Offer& offer);
  UpdateReason check(const Offer& offer, Manifest& manifest);
  UpdateReason check_build(const Manifest& manifest) const;
  const PublicKey* key_of(const KeyId& id);
  void want(const Offer& offer, const Manifest& manifest);
  void stop_loading();
  bool expired() const;
  void start_loading();
  void load();
  bool load_page();
  void take_nothing(int why);
  bool write_page(std::size_t size);
  void note_progress();
  void source_failed(UpdateReason why);
  void start_verifying();
  void verify();
  void compare(const Sha256& found);
  void boot_image();
  void leave();
  bool note_spool();
  void begin_trial();
  void come_back(ResetReason why);
  void judge();
  void fail_trial(UpdateReason reason);
  void settle(UpdateNote::Phase phase, UpdateReason reason);
  bool spool_as_before() const;
  void report(const char* state);
  void tell_outcome();
  void log_outcome();
  void send_report();
  std::uint64_t now() const { return parts_.clock.monotonic_ms(); }

  Parts parts_;
  FirmwareId running_;
  UpdateKeys keys_;
  Backoff backoff_;
  std::uint64_t trial_ms_;
  std::uint64_t begun_ms_ = 0;
  UpdateNote note_;
  State state_ = State::idle;
  std::uint64_t due_ms_ = 0;       // the next step
  std::uint64_t deadline_ms_ = 0;  // of what is being waited for
  std::uint64_t epoch_ends_ms_ = 0;
  Wanted wanted_{};
  std::array<std::uint8_t, Flash::kPageSize> page_{};
  std::size_t in_page_ = 0;
  std::uint32_t done_ = 0;                     // bytes written, or read back
  std::uint32_t failures_ = 0;                 // of the source, one after another
  std::uint32_t slot_failures_ = 0;            // of the flash
  UpdateReason trouble_ = UpdateReason::none;  // why nothing comes just now
  bool fetching_ = false;
  bool continued_ = false;  // from what an earlier boot left
  bool kept_epoch_ = false;

  bool up_ = false;
  const char* told_state_ = nullptr;
  std::uint32_t percent_ = 0;
  bool owed_ = false;  // the broker does not have it yet
  int message_ = -1;
  std::uint64_t report_due_ms_ = 0;
};

}  // namespace noctis
