// How the spool finds its place after a boot, and puts right what a power cut left.
#include <algorithm>
#include <cstring>
#include <utility>

#include "noctis/spool.hpp"

namespace noctis {

using layout::kSlotsPerSector;

namespace {

// Bits that are torn may read differently each time: what matters is read this often.
constexpr int kReads = 3;
constexpr int kSlotReads = 8;

bool all_blank(const std::uint8_t* bytes, std::size_t size) {
  // All are like the first: memcmp takes whole words, and a blank chip has 8 MiB of them.
  return bytes[0] == 0xFF && std::memcmp(bytes, bytes + 1, size - 1) == 0;
}

int differing_bits(const layout::HeaderBytes& one, const layout::HeaderBytes& other) {
  int bits = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    for (unsigned rest = one[i] ^ other[i]; rest != 0; rest &= rest - 1) {
      ++bits;
    }
  }
  return bits;
}

}  // namespace

std::optional<layout::SectorHeader> Spool::load(std::uint32_t sector_no,
                                                layout::SectorHead& head) {
  flash_.read(address(sector_no), reinterpret_cast<std::uint8_t*>(&head), sizeof head);
  const auto header = layout::decode_header(head.header.data());
  return header && header->sector_no == sector_no ? header : std::nullopt;
}

bool Spool::find_head() {
  bool found = false;
  owned_.fill(0);
  others_ = kMaxSectors;
  for (std::uint32_t sector = 0; sector < flash_.sectors(); ++sector) {
    layout::HeaderBytes bytes{};
    flash_.read(sector * Flash::kSectorSize, bytes.data(), bytes.size());
    const auto header = layout::decode_header(bytes.data());
    if (!header || header->sector_no % flash_.sectors() != sector) {
      continue;
    }
    set_owned(sector, header->owner == identity_.owner);
    others_ = header->owner == identity_.owner ? others_ : 0;
    if (!found || header->sector_no > head_) {
      found = true;
      head_ = header->sector_no;
      newest_ = *header;
      newest_bytes_ = bytes;
    }
  }
  return found;
}

bool Spool::blank(std::uint32_t sector, std::uint32_t from, std::uint32_t to) {
  std::array<std::uint8_t, Flash::kPageSize> page{};
  for (std::uint32_t at = from; at < to;) {
    const std::uint32_t size = std::min(to - at, Flash::kPageSize - at % Flash::kPageSize);
    flash_.read(sector * Flash::kSectorSize + at, page.data(), size);
    if (!all_blank(page.data(), size)) {
      return false;
    }
    at += size;
  }
  return true;
}

// A cut in the very first header leaves a chip that is not quite blank. Nothing but a header
// can be torn there, because no slot is written before a header is valid; the next blank sector
// serves. Anything else without a header is somebody's data.
Spool::Mount Spool::begin_on_blank_chip() {
  std::optional<std::uint32_t> first;
  for (std::uint32_t sector = 0; sector < flash_.sectors(); ++sector) {
    if (!blank(sector, layout::kHeaderSize, Flash::kSectorSize)) {
      return Mount::unreadable;
    }
    bool header_blank = true;
    for (int i = 0; i < kReads; ++i) {
      header_blank = header_blank && blank(sector, 0, layout::kHeaderSize);
    }
    if (header_blank && !first) {
      first = sector;
    }
  }
  if (!first) {
    return Mount::unreadable;
  }
  head_ = *first - 1;
  next_ = kSlotsPerSector;
  last_valid_seq_ = static_cast<std::uint32_t>(-1);
  stream_ = identity_.new_stream;
  stream_start_ = next_seq();
  boot_seq_ = 1;
  mounted_ = true;
  return Mount::fresh;
}

// Finds the last slot in use: valid, or torn. A torn one's valid bit may come and go, and the
// one behind it may look blank and be torn all the same: both are burnt before the next append.
void Spool::find_frontier() {
  layout::Bitmap valid{};
  read_bitmap(head_, layout::kValidOffset, valid);
  for (int i = 1; i < kReads; ++i) {
    layout::Bitmap again{};
    read_bitmap(head_, layout::kValidOffset, again);
    std::transform(valid.begin(), valid.end(), again.begin(), valid.begin(),
                   [](std::uint8_t a, std::uint8_t b) { return std::uint8_t(a & b); });
  }
  next_ = 0;
  last_valid_slot_.reset();
  std::array<std::uint8_t, Flash::kPageSize> page{};
  for (std::uint32_t slot = 0; slot < kSlotsPerSector; ++slot) {
    const std::uint32_t within = layout::slot_offset(slot) % Flash::kPageSize;
    if (slot == 0 || within == 0) {
      flash_.read(slot_address(head_, slot) - within, page.data(), page.size());
    }
    const bool in_use = layout::cleared(valid, slot);
    if (in_use) {
      last_valid_slot_ = slot;
    }
    if (in_use || !all_blank(&page[within], kSlotSize)) {
      next_ = slot + 1;
    }
  }
  burn_due_ = next_ < kSlotsPerSector;
  torn_slot_.reset();
  if (next_ > 0 && last_valid_slot_ != next_ - 1) {
    torn_slot_ = next_ - 1;
  }
  unsteady_slot_.reset();
  if (last_valid_slot_ && !steady(*last_valid_slot_)) {
    std::swap(unsteady_slot_, last_valid_slot_);
  }
}

// A cut while a torn slot was being struck out may leave bits of it that come and go.
bool Spool::steady(std::uint32_t slot) {
  const Slot bytes = read_slot(head_, slot);
  bool same = intact(bytes);
  for (int i = 1; i < kSlotReads; ++i) {
    same = same && read_slot(head_, slot) == bytes;
  }
  return same;
}

// Makes sure that a slot of the head never counts, though its valid bit may come and go. Only
// its last byte that is not zero is zeroed: whatever a cut leaves of that, CRC-8 never misses a
// change within one byte. Of a slot zeroed by half, one in 256 would count.
void Spool::strike_out(std::uint32_t slot) {
  Slot ever_set{};
  for (int i = 0; i < kSlotReads; ++i) {
    const Slot bytes = read_slot(head_, slot);
    std::transform(bytes.begin(), bytes.end(), ever_set.begin(), ever_set.begin(),
                   [](std::uint8_t a, std::uint8_t b) { return std::uint8_t(a | b); });
  }
  std::uint32_t last = kSlotSize - 1;
  while (last > 0 && ever_set[last] == 0) {
    --last;
  }
  const std::uint8_t zero = 0;
  flash_.program(slot_address(head_, slot) + last, &zero, 1);
}

// The sector behind the head is erased, or about to be. If its header is all but the one that
// belongs there and it has slots in use, it is the true head and its header has rotted, or was
// misread: its seqs must not be given out again.
bool Spool::head_rotted() {
  layout::SectorHeader next = newest_;
  next.sector_no = head_ + 1;
  layout::SectorHead gap{};
  flash_.read(address(head_ + 1), reinterpret_cast<std::uint8_t*>(&gap), sizeof gap);
  constexpr int kRottenBits = 4;
  const int bits = differing_bits(gap.header, layout::encode_header(next));
  return bits <= kRottenBits && !all_blank(gap.valid.data(), gap.valid.size());
}

// Sets the boot number and the last valid seq from the newest sectors.
void Spool::find_newest_run() {
  boot_seq_ = 1;
  last_valid_seq_ = next_seq() - 1;
  bool newest = true;
  const std::uint32_t oldest = oldest_sector();
  for (std::uint32_t sector_no = head_ + 1; sector_no-- > oldest;) {
    layout::SectorHead head{};
    if (!owned(sector_no) || !load(sector_no, head)) {
      continue;
    }
    for (std::uint32_t slot = kSlotsPerSector; slot-- > 0;) {
      if (!layout::cleared(head.valid, slot)) {
        continue;
      }
      const Slot bytes = read_slot(sector_no, slot);
      if (!intact(bytes)) {
        continue;
      }
      if (newest) {
        last_valid_seq_ = sector_no * kSlotsPerSector + slot;
        newest = false;
      }
      if (is_run(bytes)) {
        boot_seq_ = decode_run(bytes).boot_seq + 1;
        return;
      }
    }
  }
}

void Spool::count_backlog() {
  undone_ = 0;
  stream_start_ = next_seq();
  const std::uint32_t oldest = oldest_sector();
  for (std::uint32_t sector_no = head_ + 1; sector_no-- > oldest;) {
    layout::SectorHead head{};
    const auto header = owned(sector_no) ? load(sector_no, head) : std::nullopt;
    if (!header) {
      continue;
    }
    if (header->stream == stream_) {
      stream_start_ = sector_no * kSlotsPerSector;
    }
    for (std::size_t i = 0; i < layout::kBitmapSize; ++i) {
      for (unsigned bits = ~unsigned{head.valid[i]} & head.done[i]; bits != 0;
           bits &= bits - 1) {
        ++undone_;
      }
    }
  }
}

Spool::Mount Spool::mount() {
  mounted_ = false;
  run_.reset();
  run_due_ = RunReason::boot;
  repair_due_ = burn_due_ = gap_due_ = false;
  last_valid_slot_.reset();
  torn_slot_.reset();
  unsteady_slot_.reset();
  undone_ = overwritten_ = damaged_ = bad_slots_ = 0;
  if (!find_head()) {
    return begin_on_blank_chip();
  }
  set_owned(head_ + 1, false);  // the gap, whatever a cut left there
  repair_due_ = mounted_ = true;
  const bool ours = newest_.owner == identity_.owner && newest_.chip == identity_.chip;
  if (head_rotted()) {
    ++head_;
    next_ = kSlotsPerSector;
    find_newest_run();
    boot_seq_ += kSlotsPerSector;  // more boots than the lost sector can have held
    last_valid_seq_ = next_seq() - 1;
  } else {
    find_frontier();
    find_newest_run();
  }
  if (!ours) {
    next_ = kSlotsPerSector;
    torn_slot_.reset();
    burn_due_ = false;
    last_valid_seq_ = next_seq() - 1;
  }
  stream_ = ours ? newest_.stream : identity_.new_stream;
  count_backlog();
  return ours ? Mount::ready : Mount::new_stream;
}

// What the cut may have left half done is done again, from what mount() saw.
bool Spool::repair() {
  if (newest_.sector_no == head_ &&
      !flash_.program(address(head_), newest_bytes_.data(), newest_bytes_.size())) {
    return false;
  }
  if (last_valid_slot_) {
    clear_bits(head_, *last_valid_slot_, true, false);
  }
  for (const auto& slot : {unsteady_slot_, torn_slot_}) {
    if (slot) {
      strike_out(*slot);
    }
  }
  if (burn_due_) {
    const Slot zeros{};
    if (!flash_.program(slot_address(head_, next_), zeros.data(), zeros.size())) {
      return false;
    }
    burn_due_ = false;
    ++next_;
  }
  repair_due_ = false;
  return erase_gap();
}

bool Spool::erase_others() {
  if (!mounted_ || others_ >= flash_.sectors()) {
    return false;
  }
  if (repair_due_ || gap_due_) {
    return true;
  }
  layout::HeaderBytes bytes{};
  flash_.read(others_ * Flash::kSectorSize, bytes.data(), bytes.size());
  const auto header = layout::decode_header(bytes.data());
  if (!header || header->owner == identity_.owner || flash_.erase(others_)) {
    ++others_;
  }
  return true;
}

void Spool::format() {
  begin_format();
  for (std::uint32_t i = 0; i < 2 * flash_.sectors() && !format_some(1); ++i) {
  }
  mount();
}

void Spool::begin_format() {
  if (!find_head()) {
    head_ = 0;
  }
  owned_.fill(0);
  run_.reset();
  mounted_ = false;
  undone_ = 0;
  to_format_ = flash_.sectors();
}

// The head goes last: a format that is cut short leaves a spool that knows its seqs.
bool Spool::format_some(std::uint32_t sectors) {
  const std::uint32_t all = flash_.sectors();
  for (; sectors > 0 && to_format_ > 0; --sectors, --to_format_) {
    if (!flash_.erase((head_ % all + 1 + all - to_format_) % all)) {
      return false;
    }
  }
  return to_format_ == 0;
}

}  // namespace noctis
