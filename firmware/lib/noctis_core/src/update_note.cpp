#include "noctis/update_note.hpp"

#include <algorithm>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kRolloutAt = 4;
constexpr std::size_t kNumbersAt = 40;
constexpr std::size_t kHashAt = 72;
constexpr std::size_t kChecked = UpdateNote::kSize - 4;

constexpr std::array<const char*, 19> kNames{
    "none",       "malformed",     "unknown_key", "bad_signature",   "wrong_target",
    "too_large",  "expired",       "downgrade",   "below_floor",     "needs_newer",
    "wrong_size", "wrong_hash",    "not_found",   "slot_failed",     "did_not_start",
    "no_broker",  "spool_unsound", "no_server",   "untrusted_server"};

}  // namespace

const char* name_of(UpdateReason reason) { return kNames[static_cast<std::size_t>(reason)]; }

std::array<std::uint8_t, UpdateNote::kSize> UpdateNote::encode() const {
  std::array<std::uint8_t, kSize> bytes{kVersion, static_cast<std::uint8_t>(phase), attempts,
                                        static_cast<std::uint8_t>(reason)};
  std::copy(rollout.begin(), rollout.end(), &bytes[kRolloutAt]);
  std::uint8_t* to = &bytes[kNumbersAt];
  put_u64(to, stream);
  put_u32(to + 8, build);
  put_u32(to + 12, offset);
  put_u32(to + 16, next_seq);
  put_u32(to + 20, next_floor);
  put_u32(to + 24, floor);
  std::copy(sha256.begin(), sha256.end(), &bytes[kHashAt]);
  put_u32(&bytes[kChecked], crc32(bytes.data(), kChecked));
  return bytes;
}

std::optional<UpdateNote> UpdateNote::decode(const std::uint8_t* bytes, std::size_t size) {
  if (size != kSize || bytes[0] != kVersion ||
      bytes[1] > static_cast<std::uint8_t>(Phase::refused) || bytes[3] >= kNames.size() ||
      get_u32(bytes + kChecked) != crc32(bytes, kChecked)) {
    return std::nullopt;
  }
  UpdateNote note;
  note.phase = static_cast<Phase>(bytes[1]);
  note.attempts = bytes[2];
  note.reason = static_cast<UpdateReason>(bytes[3]);
  std::copy_n(bytes + kRolloutAt, note.rollout.size(), note.rollout.begin());
  const std::uint8_t* from = bytes + kNumbersAt;
  note.stream = get_u64(from);
  note.build = get_u32(from + 8);
  note.offset = get_u32(from + 12);
  note.next_seq = get_u32(from + 16);
  note.next_floor = get_u32(from + 20);
  note.floor = get_u32(from + 24);
  std::copy_n(bytes + kHashAt, note.sha256.size(), note.sha256.begin());
  return note;
}

}  // namespace noctis
