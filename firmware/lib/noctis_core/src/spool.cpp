// The spool's writing side.
#include "noctis/spool.hpp"

#include <algorithm>

namespace noctis {

using layout::kSlotsPerSector;

namespace {

// More refusals than this in one append are no worn slots: the chip does not take writes.
constexpr int kAttempts = 8;

}  // namespace

void Spool::read_bitmap(std::uint32_t sector_no, std::uint32_t offset, layout::Bitmap& bitmap) {
  flash_.read(address(sector_no) + offset, bitmap.data(), bitmap.size());
}

Slot Spool::read_slot(std::uint32_t sector_no, std::uint32_t slot) {
  Slot bytes{};
  flash_.read(slot_address(sector_no, slot), bytes.data(), bytes.size());
  return bytes;
}

void Spool::clear_bits(std::uint32_t sector_no, std::uint32_t slot, bool valid, bool done) {
  // From the slot's byte of V to its byte of D: both bits in one program.
  std::array<std::uint8_t, layout::kBitmapSize + 1> bytes{};
  bytes.fill(0xFF);
  const auto mask = static_cast<std::uint8_t>(~(1U << (slot % 8)));
  bytes.front() = valid ? mask : 0xFF;
  bytes.back() = done ? mask : 0xFF;
  const std::size_t first = valid ? 0 : layout::kBitmapSize;
  const std::size_t size = (done ? bytes.size() : 1) - first;
  flash_.program(
      address(sector_no) + layout::kValidOffset + slot / 8 + static_cast<std::uint32_t>(first),
      &bytes[first], size);
}

bool Spool::owned(std::uint32_t sector_no) const {
  const std::uint32_t sector = sector_no % flash_.sectors();
  return ((static_cast<unsigned>(owned_[sector / 8]) >> (sector % 8)) & 1U) != 0;
}

void Spool::set_owned(std::uint32_t sector_no, bool owned) {
  const std::uint32_t sector = sector_no % flash_.sectors();
  const auto mask = static_cast<std::uint8_t>(1U << (sector % 8));
  owned_[sector / 8] =
      static_cast<std::uint8_t>(owned ? owned_[sector / 8] | mask : owned_[sector / 8] & ~mask);
}

std::uint32_t Spool::oldest_sector() const {
  // The ring holds sectors() - 1 sectors and the gap.
  const std::uint32_t held = flash_.sectors() - 1;
  std::uint32_t sector_no = head_ + 1 < held ? 0 : head_ + 1 - held;
  while (sector_no != head_ + 1 && !owned(sector_no)) {
    ++sector_no;
  }
  return sector_no;
}

std::uint32_t Spool::first_seq() const { return oldest_sector() * kSlotsPerSector; }

std::uint32_t Spool::oldest_seq() const { return std::max(first_seq(), stream_start_); }

bool Spool::erase_gap() {
  const std::uint32_t gap = head_ + 1;
  const std::uint32_t victim = gap - flash_.sectors();
  layout::SectorHead head{};
  if (gap >= flash_.sectors() && owned(victim) && load(victim, head)) {
    std::uint32_t lost = 0;
    for (std::uint32_t slot = 0; slot < kSlotsPerSector; ++slot) {
      lost += layout::cleared(head.valid, slot) && !layout::cleared(head.done, slot) ? 1 : 0;
    }
    overwritten_ += lost;
    undone_ -= std::min(undone_, lost);
  }
  set_owned(gap, false);
  gap_due_ = !flash_.erase(gap % flash_.sectors());
  return !gap_due_;
}

bool Spool::enter_next_sector() {
  const auto header =
      layout::encode_header({stream_, identity_.owner, head_ + 1, identity_.chip});
  if (!flash_.program(address(head_ + 1), header.data(), header.size())) {
    return false;
  }
  ++head_;
  next_ = 0;
  layout::SectorHead back{};
  flash_.read(address(head_), reinterpret_cast<std::uint8_t*>(&back), sizeof back);
  layout::Bitmap blank{};
  blank.fill(0xFF);
  // Also a sector whose bitmaps do not come up blank would invent epochs: pass over it.
  const bool good = back.header == header && back.valid == blank && back.done == blank;
  set_owned(head_, good);
  erase_gap();
  if (!good) {
    next_ = kSlotsPerSector;
  } else if (!run_due_) {
    run_due_ = RunReason::sector;
  }
  return good;
}

bool Spool::put(const Slot& slot) {
  if (!flash_.program(slot_address(head_, next_), slot.data(), slot.size())) {
    return false;
  }
  const std::uint32_t index = next_++;
  if (read_slot(head_, index) != slot) {
    ++bad_slots_;
    return false;
  }
  // A RUN is never waited for: it is done from birth.
  clear_bits(head_, index, true, is_run(slot));
  layout::Bitmap valid{};
  read_bitmap(head_, layout::kValidOffset, valid);
  if (!layout::cleared(valid, index)) {
    strike_out(index);  // so that a bit that comes up later cannot show it
    ++bad_slots_;
    return false;
  }
  last_valid_seq_ = head_ * kSlotsPerSector + index;
  return true;
}

bool Spool::put_run(RunReason reason, const EpochStamp& stamp) {
  const std::uint32_t seq = next_seq();
  const std::uint32_t voids = std::min<std::uint32_t>(seq - last_valid_seq_ - 1, 255);
  const Slot slot = encode_slot(
      Run{reason, static_cast<std::uint8_t>(voids), boot_seq_, stamp.tick_s, stamp.utc_s});
  if (!put(slot)) {
    return false;
  }
  run_ = CurrentRun{seq, slot};
  run_due_.reset();
  return true;
}

std::optional<std::uint32_t> Spool::append(const Epoch& epoch, const EpochStamp& stamp) {
  if (!mounted_) {
    return std::nullopt;
  }
  if ((repair_due_ && !repair()) || (gap_due_ && !erase_gap())) {
    return std::nullopt;
  }
  if (stamp.breaks && run_due_ != RunReason::boot) {
    run_due_ = stamp.breaks;
  }
  const Slot slot = encode_slot(epoch);
  for (int refused = 0; refused < kAttempts;) {
    if (next_ == kSlotsPerSector) {
      refused += enter_next_sector() ? 0 : 1;
    } else if (run_due_) {
      refused += put_run(*run_due_, stamp) ? 0 : 1;
    } else {
      const std::uint32_t seq = next_seq();
      if (put(slot)) {
        ++undone_;
        return seq;
      }
      ++refused;
      if (next_seq() != seq) {
        run_due_ = RunReason::grid;  // a skipped seq would shift the times behind it
      }
    }
  }
  return std::nullopt;
}

void Spool::mark_done(std::uint64_t stream, std::uint32_t first, std::uint32_t count) {
  const std::uint64_t end = mounted_ ? std::uint64_t{first} + count : 0;
  for (std::uint64_t seq = first; seq < end;) {
    const auto sector_no = static_cast<std::uint32_t>(seq / kSlotsPerSector);
    const auto slot = static_cast<std::uint32_t>(seq % kSlotsPerSector);
    const auto slots =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(end - seq, kSlotsPerSector - slot));
    seq += slots;
    layout::SectorHead head{};
    const auto header = owned(sector_no) ? load(sector_no, head) : std::nullopt;
    if (!header || header->stream != stream) {
      continue;
    }
    layout::Bitmap bits{};
    bits.fill(0xFF);
    std::uint32_t marked = 0;
    for (std::uint32_t i = slot; i < slot + slots; ++i) {
      // Only what is there: a mark on a seq still to come would lose that epoch. Also where a
      // mark is seen already: a torn one may not read the same tomorrow.
      if (layout::cleared(head.valid, i)) {
        layout::clear(bits, i);
        marked += layout::cleared(head.done, i) ? 0 : 1;
      }
    }
    const std::uint32_t begin = slot / 8;
    flash_.program(address(sector_no) + layout::kDoneOffset + begin, &bits[begin],
                   (slot + slots - 1) / 8 - begin + 1);
    undone_ -= std::min(undone_, marked);
  }
}

void Spool::retire(std::uint32_t seq, bool damaged) {
  clear_bits(seq / kSlotsPerSector, seq % kSlotsPerSector, false, true);
  undone_ -= std::min<std::uint32_t>(undone_, 1);
  damaged_ += damaged ? 1 : 0;
}

bool Spool::live_frame(std::uint32_t seq, Frame& frame) {
  if (!run_ || seq <= run_->seq || seq > last_valid_seq_ ||
      seq / kSlotsPerSector != run_->seq / kSlotsPerSector) {
    return false;
  }
  const Slot slot = read_slot(seq / kSlotsPerSector, seq % kSlotsPerSector);
  if (!intact(slot) || is_run(slot)) {
    return false;
  }
  frame.begin(stream_, seq, run_->seq, run_->slot);
  frame.add(slot);
  frame.finish();
  return true;
}

bool Spool::next_backlog(std::uint32_t from, std::uint32_t limit, Frame& frame) {
  return SpoolReader(*this, from, limit, SpoolReader::Which::undone).next_frame(frame);
}

bool Spool::next_of(std::uint64_t stream, std::uint32_t from, std::uint32_t limit,
                    Frame& frame) {
  SpoolReader reader(*this, from, limit, SpoolReader::Which::all);
  reader.only(stream);
  return reader.next_frame(frame);
}

bool Spool::holds(std::uint64_t stream) {
  if (!mounted_ || stream == stream_) {
    return mounted_;
  }
  layout::SectorHead head{};
  for (std::uint32_t sector_no = oldest_sector(); sector_no != head_ + 1; ++sector_no) {
    const auto header = owned(sector_no) ? load(sector_no, head) : std::nullopt;
    if (header && header->stream == stream) {
      return true;
    }
  }
  return false;
}

}  // namespace noctis
