// The spool: every epoch ever made, in NOR flash, oldest overwritten first. It is the truth:
// what append() returned survives every power cut. SPOOL.md explains the bytes and the rules.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/flash.hpp"
#include "noctis/frame.hpp"
#include "noctis/slot.hpp"
#include "noctis/spool_layout.hpp"

namespace noctis {

struct SpoolIdentity {
  std::uint32_t owner;  // CRC-32 of "tenant/device": another owner's epochs are never sent
  std::uint32_t chip;   // tag of this very chip and board: a copy begins a stream of its own
  std::uint64_t new_stream;  // fresh random bits, used if a stream has to begin
};

// When an epoch began, and whether its time base differs from that of the epoch before it.
struct EpochStamp {
  std::uint32_t tick_s;  // seconds since boot
  std::uint32_t utc_s;   // 0: unknown
  std::optional<RunReason> breaks;
};

// An epoch as it lies in the spool.
struct EpochRecord {
  std::uint64_t stream;
  std::uint32_t seq;
  std::uint32_t run_seq;
  Slot run;
  Slot slot;
};

class Spool {
 public:
  static constexpr std::uint32_t kMinSectors = 4;
  static constexpr std::uint32_t kMaxSectors = 2048;  // 8 MiB

  enum class Mount : std::uint8_t {
    ready,       // found a spool of this owner and chip
    fresh,       // the chip is blank: a stream begins with the first epoch
    new_stream,  // the newest sector is another owner's or of another chip: likewise
    unreadable,  // not blank, yet no header is valid: format() by command only
  };

  // The chip has kMinSectors to kMaxSectors sectors.
  Spool(Flash& flash, const SpoolIdentity& identity) : flash_(flash), identity_(identity) {}

  // Finds the newest epoch. Only reads: a boot loop wears nothing.
  Mount mount();
  // Erases everything and begins a stream: at provisioning, or by command.
  void format();
  // The same in steps, since a chip takes up to 0.4 s to erase a sector; in between nothing is
  // stored and nothing found.
  void begin_format();
  // Erases up to `sectors` more. True once all are.
  bool format_some(std::uint32_t sectors);

  // Stores an epoch, and in front of it a RUN where one is due. Returns its seq once it is
  // verified; nothing if the flash refuses: the spool then stays as it is, try again.
  std::optional<std::uint32_t> append(const Epoch& epoch, const EpochStamp& stamp);
  // Looks at one sector and erases it if it is another owner's: they gave the device away, and
  // what they slept is theirs. True while there are more to look at. Nothing is erased before
  // the first append(): until then this owner has no sector that says who is the newest.
  bool erase_others();
  // Marks what the platform has; what is not there or not of that stream is ignored.
  void mark_done(std::uint64_t stream, std::uint32_t first, std::uint32_t count);

  // The frame of one epoch of the run that append() wrote last; false for others.
  bool live_frame(std::uint32_t seq, Frame& frame);
  // The first epochs in [from, limit) that are not done: up to 64, one run, no gap.
  bool next_backlog(std::uint32_t from, std::uint32_t limit, Frame& frame);
  // The first ones of a stream, done or not, likewise.
  bool next_of(std::uint64_t stream, std::uint32_t from, std::uint32_t limit, Frame& frame);
  // Whether any sector is of that stream. Reads all headers unless it is the newest one.
  bool holds(std::uint64_t stream);

  std::uint64_t stream() const { return stream_; }
  std::uint32_t owner() const { return identity_.owner; }
  std::uint32_t boot_seq() const { return boot_seq_; }
  // Of this stream; everything below it is overwritten or never was.
  std::uint32_t oldest_seq() const;
  // One above the newest slot in use.
  std::uint32_t next_seq() const { return head_ * layout::kSlotsPerSector + next_; }
  // Where backlog of this owner can begin, older streams included.
  std::uint32_t first_seq() const;
  // Epochs not done.
  std::uint32_t backlog() const { return undone_; }
  // Epochs overwritten before they were done, and epochs lost to rot, since mount().
  std::uint32_t overwritten() const { return overwritten_; }
  std::uint32_t damaged() const { return damaged_; }
  // How often the ring went round since the chip was formatted: it wears evenly, an erase a
  // lap.
  std::uint32_t laps() const { return (head_ + 1) / flash_.sectors(); }
  // Slots that did not hold what was written, since mount().
  std::uint32_t bad_slots() const { return bad_slots_; }

 private:
  friend class SpoolReader;

  struct CurrentRun {
    std::uint32_t seq;
    Slot slot;
  };

  std::uint32_t address(std::uint32_t sector_no) const {
    return (sector_no % flash_.sectors()) * Flash::kSectorSize;
  }
  std::uint32_t slot_address(std::uint32_t sector_no, std::uint32_t slot) const {
    return address(sector_no) + layout::slot_offset(slot);
  }
  void read_bitmap(std::uint32_t sector_no, std::uint32_t offset, layout::Bitmap& bitmap);
  Slot read_slot(std::uint32_t sector_no, std::uint32_t slot);
  // Reads the part in front of the slots; nothing unless it is sector number sector_no's.
  std::optional<layout::SectorHeader> load(std::uint32_t sector_no, layout::SectorHead& head);
  // Clears one bit of a bitmap, or of both where that takes no second program.
  void clear_bits(std::uint32_t sector_no, std::uint32_t slot, bool valid, bool done);

  bool find_head();
  Mount begin_on_blank_chip();
  bool blank(std::uint32_t sector, std::uint32_t from, std::uint32_t to);
  void find_frontier();
  bool steady(std::uint32_t slot);
  void strike_out(std::uint32_t slot);
  bool head_rotted();
  void find_newest_run();
  void count_backlog();
  bool repair();

  bool enter_next_sector();
  bool erase_gap();
  bool put(const Slot& slot);
  bool put_run(RunReason reason, const EpochStamp& stamp);
  void retire(std::uint32_t seq, bool damaged);

  bool owned(std::uint32_t sector_no) const;
  void set_owned(std::uint32_t sector_no, bool owned);
  std::uint32_t oldest_sector() const;

  Flash& flash_;
  SpoolIdentity identity_;
  std::uint64_t stream_ = 0;
  layout::SectorHeader newest_{};       // the head's, as mount() read it,
  layout::HeaderBytes newest_bytes_{};  // and its very bytes
  std::array<std::uint8_t, kMaxSectors / 8> owned_{};
  std::uint32_t head_ = 0;  // number of the newest sector
  std::uint32_t next_ = 0;  // its first free slot; kSlotsPerSector: full
  std::uint32_t stream_start_ = 0;
  std::uint32_t last_valid_seq_ = 0;
  std::uint32_t boot_seq_ = 0;
  std::uint32_t undone_ = 0;
  std::uint32_t overwritten_ = 0;
  std::uint32_t damaged_ = 0;
  std::uint32_t bad_slots_ = 0;
  std::uint32_t to_format_ = 0;  // sectors, the last of them the newest
  // Slots of the head as mount() saw them, for repair().
  std::optional<std::uint32_t> last_valid_slot_;
  std::optional<std::uint32_t> unsteady_slot_;  // valid, but its bits come and go
  std::optional<std::uint32_t> torn_slot_;      // the last one in use, if not valid
  std::optional<RunReason> run_due_;
  std::optional<CurrentRun> run_;
  std::uint32_t others_ = kMaxSectors;  // the sector to be looked at next
  bool mounted_ = false;
  bool repair_due_ = false;
  bool burn_due_ = false;  // the first free slot may be
  bool gap_due_ = false;   // the sector behind the head is not erased yet
};

// Walks over the epochs of [from, limit) in the order of their seqs. Valid until the next
// append().
class SpoolReader {
 public:
  enum class Which : std::uint8_t { all, undone };

  SpoolReader(Spool& spool, std::uint32_t from, std::uint32_t limit, Which which);
  // Passes over the sectors of other streams from now on.
  void only(std::uint64_t stream) { only_ = stream; }
  bool next(EpochRecord& record);
  // The first epochs there are: up to 64, one run, no gap. The reader then stands somewhere
  // behind them.
  bool next_frame(Frame& frame);

 private:
  bool open_sector();
  bool valid(std::uint32_t slot) const;
  bool wanted(std::uint32_t slot) const;
  bool anything_wanted() const;
  Slot slot_at(std::uint32_t slot);
  bool examine(std::uint32_t slot, EpochRecord& record);

  Spool& spool_;
  std::uint32_t from_;
  std::uint32_t limit_;
  Which which_;
  std::optional<std::uint64_t> only_;
  std::uint32_t sector_no_;
  std::uint32_t slot_ =
      layout::kSlotsPerSector;  // of the open sector; at its end: none is open
  layout::SectorHead head_{};
  std::uint64_t stream_ = 0;
  std::optional<Spool::CurrentRun> run_;
  std::array<std::uint8_t, layout::kSlotsInPage * kSlotSize> page_{};
  std::uint32_t page_offset_ = 0;  // of page_ within the sector; 0: nothing read
};

}  // namespace noctis
