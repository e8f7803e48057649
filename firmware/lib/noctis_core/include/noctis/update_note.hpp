// What a device remembers of its update over a loss of power.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/command.hpp"
#include "noctis/crypto.hpp"

namespace noctis {

// Why an update was refused, or the image before it is back.
enum class UpdateReason : std::uint8_t {
  none,
  malformed,
  unknown_key,
  bad_signature,
  wrong_target,
  too_large,
  expired,
  downgrade,
  below_floor,
  needs_newer,  // a step between: the running build is below `least`
  wrong_size,
  wrong_hash,
  not_found,      // the server does not have the image
  slot_failed,    // the flash does not take it
  did_not_start,  // the image ended before it had proved itself
  no_broker,      // it did not reach the broker in time
  spool_unsound,  // it did not find the spool as it was, or did not keep an epoch in time
  // Of a download that is tried again; these are told and never noted.
  no_server,
  untrusted_server,  // its certificate is not what the device trusts
};

const char* name_of(UpdateReason reason);

struct UpdateNote {
  static constexpr std::size_t kSize = 108;
  enum class Phase : std::uint8_t { none, loading, trying, valid, rolled_back, refused };

  Phase phase = Phase::none;
  std::uint8_t attempts = 0;  // at booting the image
  UpdateReason reason = UpdateReason::none;
  CommandId rollout{};
  std::uint32_t build = 0;
  std::uint32_t offset = 0;    // below it the spare slot holds the image
  std::uint64_t stream = 0;    // of the spool when the image was to boot,
  std::uint32_t next_seq = 0;  // and where it stood; 0: it was empty
  std::uint32_t next_floor = 0;
  std::uint32_t floor = 0;  // in force: outlives every update
  Sha256 sha256{};

  bool over() const { return phase >= Phase::valid; }
  std::array<std::uint8_t, kSize> encode() const;
  static std::optional<UpdateNote> decode(const std::uint8_t* bytes, std::size_t size);
};

}  // namespace noctis
