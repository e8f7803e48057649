#include <algorithm>

#include "noctis/spool.hpp"

namespace noctis {

using layout::kSlotsPerSector;

namespace {

constexpr int kReads = 3;

// Whether a slot is a RUN, or was one before it rotted: if it fails its CRC, the bit that says
// so may be the rotten one.
bool was_run(Slot slot) {
  const bool run = is_run(slot);
  slot[0] ^= 1U;
  return intact(slot) ? !run : run;
}

}  // namespace

SpoolReader::SpoolReader(Spool& spool, std::uint32_t from, std::uint32_t limit, Which which)
    : spool_(spool),
      from_(std::max(from, spool.first_seq())),
      limit_(spool.mounted_ ? std::min(limit, spool.next_seq()) : 0),
      which_(which),
      sector_no_(from_ / kSlotsPerSector) {}

bool SpoolReader::valid(std::uint32_t slot) const { return layout::cleared(head_.valid, slot); }

bool SpoolReader::wanted(std::uint32_t slot) const {
  const std::uint32_t seq = sector_no_ * kSlotsPerSector + slot;
  return seq >= from_ && seq < limit_ && valid(slot) &&
         (which_ == Which::all || !layout::cleared(head_.done, slot));
}

bool SpoolReader::anything_wanted() const {
  for (std::uint32_t slot = 0; slot < kSlotsPerSector; ++slot) {
    if (wanted(slot)) {
      return true;
    }
  }
  return false;
}

bool SpoolReader::open_sector() {
  const auto header = spool_.owned(sector_no_) ? spool_.load(sector_no_, head_) : std::nullopt;
  if (!header || (only_ && header->stream != *only_) || !anything_wanted()) {
    return false;
  }
  stream_ = header->stream;
  run_.reset();
  page_offset_ = 0;
  slot_ = 0;
  return true;
}

Slot SpoolReader::slot_at(std::uint32_t slot) {
  const std::uint32_t offset = layout::slot_offset(slot);
  if (page_offset_ == 0 || offset / Flash::kPageSize != page_offset_ / Flash::kPageSize) {
    page_offset_ =
        std::max(layout::kFirstSlotOffset, offset / Flash::kPageSize * Flash::kPageSize);
    const std::size_t size =
        offset < Flash::kPageSize ? layout::kSlotsInFirstPage * kSlotSize : page_.size();
    spool_.flash_.read(spool_.address(sector_no_) + page_offset_, page_.data(), size);
  }
  Slot bytes{};
  std::copy_n(&page_[offset - page_offset_], kSlotSize, bytes.begin());
  return bytes;
}

// True if the slot is an epoch to hand out.
bool SpoolReader::examine(std::uint32_t slot, EpochRecord& record) {
  if (!valid(slot)) {
    return false;
  }
  const std::uint32_t seq = sector_no_ * kSlotsPerSector + slot;
  Slot bytes = slot_at(slot);
  // One bad read is no rot.
  for (int i = 0; i < kReads && !intact(bytes); ++i) {
    bytes = spool_.read_slot(sector_no_, slot);
  }
  const bool whole = intact(bytes);
  const bool run = whole ? is_run(bytes) : was_run(bytes);
  if (run) {
    // Without its RUN nobody knows when the epochs behind a rotten one began: they stay.
    run_ = whole ? std::optional(Spool::CurrentRun{seq, bytes}) : std::nullopt;
  }
  if (!wanted(slot)) {
    return false;
  }
  if (!whole || run || !run_) {
    if (!layout::cleared(head_.done, slot)) {
      spool_.retire(seq, !whole || !run);  // nothing that could ever be sent
    }
    return false;
  }
  record = {stream_, seq, run_->seq, run_->slot, bytes};
  return true;
}

bool SpoolReader::next(EpochRecord& record) {
  while (sector_no_ * kSlotsPerSector < limit_) {
    if (slot_ == kSlotsPerSector && !open_sector()) {
      ++sector_no_;
      continue;
    }
    while (slot_ < kSlotsPerSector) {
      if (examine(slot_++, record)) {
        if (slot_ == kSlotsPerSector) {
          ++sector_no_;
        }
        return true;
      }
    }
    ++sector_no_;
  }
  return false;
}

bool SpoolReader::next_frame(Frame& frame) {
  EpochRecord record{};
  if (!next(record)) {
    return false;
  }
  const std::uint32_t run_seq = record.run_seq;
  frame.begin(record.stream, record.seq, run_seq, record.run);
  while (frame.add(record.slot) && next(record) && record.seq == frame.last() + 1 &&
         record.run_seq == run_seq) {
  }
  frame.finish();
  return true;
}

}  // namespace noctis
