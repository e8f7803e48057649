#include "ota_data.hpp"

#include <array>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::host {
namespace {

// seq u32, 20 bytes 0xFF, state u32, CRC-32 of all before it. The ESP32's CRC covers seq alone.
constexpr std::size_t kSize = 32;
constexpr std::size_t kStateAt = 24;
constexpr std::size_t kCheckAt = 28;

}  // namespace

std::optional<OtaData::Entry> OtaData::read(unsigned sector) {
  std::array<std::uint8_t, kSize> bytes{};
  flash_.read(sector * Flash::kSectorSize, bytes.data(), bytes.size());
  const std::uint32_t seq = get_u32(bytes.data());
  const std::uint32_t state = get_u32(&bytes[kStateAt]);
  if (seq == 0 || state > static_cast<std::uint32_t>(State::failed) ||
      get_u32(&bytes[kCheckAt]) != crc32(bytes.data(), kCheckAt)) {
    return std::nullopt;
  }
  return Entry{seq, static_cast<State>(state), sector};
}

std::optional<OtaData::Entry> OtaData::newest() {
  std::optional<Entry> found;
  for (unsigned sector = 0; sector < kSectors; ++sector) {
    const auto entry = read(sector);
    if (entry && entry->state != State::failed && (!found || entry->seq > found->seq)) {
      found = entry;
    }
  }
  return found;
}

bool OtaData::write(const Entry& entry) {
  std::array<std::uint8_t, kSize> bytes{};
  bytes.fill(0xFF);
  put_u32(bytes.data(), entry.seq);
  put_u32(&bytes[kStateAt], static_cast<std::uint32_t>(entry.state));
  put_u32(&bytes[kCheckAt], crc32(bytes.data(), kCheckAt));
  if (!flash_.erase(entry.sector) ||
      !flash_.program(entry.sector * Flash::kSectorSize, bytes.data(), bytes.size())) {
    return false;
  }
  const auto written = read(entry.sector);
  return written && written->seq == entry.seq && written->state == entry.state;
}

bool OtaData::set(unsigned slot, State state) {
  auto entry = newest();
  if (!entry || entry->slot() != slot) {
    return state == State::valid;  // the first image has no entry
  }
  entry->state = state;
  return write(*entry);
}

bool OtaData::on_trial(unsigned slot) {
  const auto entry = newest();
  return entry && entry->slot() == slot && entry->state == State::on_trial;
}

bool OtaData::failed(unsigned slot) {
  for (unsigned sector = 0; sector < kSectors; ++sector) {
    const auto entry = read(sector);
    if (entry && entry->slot() == slot && entry->state == State::failed) {
      return true;
    }
  }
  return false;
}

// Never over the entry of the image that runs.
bool OtaData::select(unsigned slot) {
  const auto running = newest();
  std::uint32_t seq = running ? running->seq + 1 : 1;
  seq += (seq - 1) % 2 == slot ? 0 : 1;
  unsigned sector = running ? 1 - running->sector : 0;
  const auto last = read(1);
  if (!running && last && last->state == State::failed) {
    sector = 1;
  }
  return write({seq, State::fresh, sector});
}

unsigned OtaData::boot() {
  auto entry = newest();
  if (entry && entry->state == State::on_trial) {
    entry->state = State::failed;
    write(*entry);
    entry = newest();
  }
  if (entry && entry->state == State::fresh) {
    const unsigned slot = entry->slot();
    entry->state = State::on_trial;
    return write(*entry) ? slot : 1 - slot;
  }
  return entry ? entry->slot() : 0;
}

}  // namespace noctis::host
