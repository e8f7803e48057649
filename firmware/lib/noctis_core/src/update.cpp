#include "noctis/update.hpp"

#include <algorithm>
#include <limits>

namespace noctis {
namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kRetryMs = 1000;  // of slots that take nothing

KeyId id_of(const Sha256& hash) {
  constexpr std::array<char, 17> kDigits{"0123456789abcdef"};
  KeyId id{};
  for (std::size_t i = 0; i < id.size(); ++i) {
    const unsigned byte = hash[i / 2];
    id[i] = kDigits[i % 2 == 0 ? byte >> 4U : byte & 0xFU];
  }
  return id;
}

}  // namespace

void Update::load_note() {
  std::array<std::uint8_t, UpdateNote::kSize> bytes{};
  const auto size = parts_.store.get(kNoteName, bytes.data(), bytes.size());
  const auto note = size ? UpdateNote::decode(bytes.data(), *size) : std::nullopt;
  note_ = note.value_or(UpdateNote{});
}

bool Update::save_note() {
  const auto bytes = note_.encode();
  return parts_.store.put(kNoteName, bytes.data(), bytes.size());
}

void Update::begin(ResetReason why) {
  begun_ms_ = now();
  load_note();
  if (parts_.slots.on_trial()) {
    begin_trial();
    return;
  }
  if (note_.phase != UpdateNote::Phase::trying) {
    return;
  }
  if (running_.build == note_.build) {
    settle(UpdateNote::Phase::valid, UpdateReason::none);
  } else {
    come_back(why);
  }
}

// The image before the one that was tried, and perhaps never booted. A crash and a strange
// spool are the image's own doing. A broker that is away and a loss of power need not be: it
// gets another try, but not for ever.
void Update::come_back(ResetReason why) {
  const bool failed = parts_.slots.spare_failed();
  if (failed && note_.reason == UpdateReason::none) {
    note_.reason = UpdateReason::did_not_start;
  }
  const bool crashed = note_.reason == UpdateReason::did_not_start &&
                       (why == ResetReason::panic || why == ResetReason::watchdog);
  if (crashed || note_.reason == UpdateReason::spool_unsound ||
      note_.attempts >= kMostAttempts) {
    settle(UpdateNote::Phase::rolled_back,
           note_.reason == UpdateReason::none ? UpdateReason::did_not_start : note_.reason);
    return;
  }
  note_.phase = UpdateNote::Phase::loading;
  save_note();
  if (failed) {
    parts_.log.write(LogLevel::warning, "update: build %lu did not stand, %s: tried again",
                     static_cast<unsigned long>(note_.build), name_of(note_.reason));
    report("downloading");  // nothing but what waits in the slot
  }
}

void Update::on_state(bool up) {
  up_ = up;
  message_ = -1;
  report_due_ms_ = 0;
}

void Update::on_ack(int id) {
  if (owed_ && id == message_) {
    owed_ = false;
  }
}

void Update::on_message(const std::uint8_t* data, std::size_t size) {
  const bool loading =
      state_ == State::offered || state_ == State::loading || state_ == State::verifying;
  if (!loading && state_ != State::idle) {
    return;  // it comes again
  }
  if (size == 0) {
    if (loading) {
      stop_loading();
      note_.phase = UpdateNote::Phase::none;
      save_note();
    }
    owed_ = false;
    return;
  }
  const auto offer = read_offer(data, size);
  if (!offer) {
    return;
  }
  if (offer->rollout == note_.rollout && (loading || note_.over())) {
    if (note_.over()) {
      tell_outcome();
    }
    return;
  }
  stop_loading();
  take(*offer);
}

// What an offer comes to, before a byte of its image is fetched.
void Update::take(const Offer& offer) {
  Manifest manifest;
  const UpdateReason reason = check(offer, manifest);
  const bool continues = note_.phase == UpdateNote::Phase::loading &&
                         reason == UpdateReason::none && note_.sha256 == manifest.sha256;
  const std::uint8_t attempts = continues ? note_.attempts : std::uint8_t{0};
  const std::uint32_t offset = continues ? std::min(note_.offset, manifest.size) : 0;
  const UpdateReason before = continues ? note_.reason : UpdateReason::none;
  const std::uint32_t floor = note_.floor;
  note_ = {};
  note_.floor = floor;
  note_.rollout = offer.rollout;
  note_.build = manifest.build;
  note_.next_floor = manifest.floor;
  if (reason != UpdateReason::none) {
    settle(UpdateNote::Phase::refused, reason);
  } else if (manifest.build == running_.build) {
    settle(UpdateNote::Phase::valid, UpdateReason::none);
  } else {
    note_.phase = UpdateNote::Phase::loading;
    note_.attempts = attempts;
    note_.reason = before;
    note_.offset = offset;
    note_.sha256 = manifest.sha256;
    save_note();
    want(offer, manifest);
  }
}

const PublicKey* Update::key_of(const KeyId& id) {
  for (std::size_t i = 0; i < keys_.count; ++i) {
    const PublicKey& key = keys_.keys[i];
    parts_.crypto.hash_begin();
    parts_.crypto.hash_add(key.data(), key.size());
    if (id_of(parts_.crypto.hash_end()) == id) {
      return &key;
    }
  }
  return nullptr;
}

// Nothing of the manifest is read before its signature is found good.
UpdateReason Update::check(const Offer& offer, Manifest& manifest) {
  if (!offer.whole) {
    return UpdateReason::malformed;
  }
  const PublicKey* key = key_of(offer.key);
  if (key == nullptr) {
    return UpdateReason::unknown_key;
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(offer.manifest.data());
  if (!parts_.crypto.verify(offer.signature, bytes, offer.manifest.size(), *key)) {
    return UpdateReason::bad_signature;
  }
  const auto read = read_manifest(offer.manifest);
  if (!read) {
    return UpdateReason::malformed;
  }
  manifest = *read;
  if (manifest.target != running_.target) {
    return UpdateReason::wrong_target;
  }
  if (manifest.size > parts_.slots.spare().sectors() * Flash::kSectorSize) {
    return UpdateReason::too_large;
  }
  return check_build(manifest);
}

UpdateReason Update::check_build(const Manifest& manifest) const {
  if (manifest.build < note_.floor) {
    return UpdateReason::below_floor;
  }
  if (manifest.build < running_.build && !manifest.downgrade) {
    return UpdateReason::downgrade;
  }
  return running_.build < manifest.least ? UpdateReason::needs_newer : UpdateReason::none;
}

void Update::want(const Offer& offer, const Manifest& manifest) {
  wanted_ = {};
  std::copy(offer.url.begin(), offer.url.end(), std::begin(wanted_.url));
  wanted_.size = manifest.size;
  wanted_.expires_s = manifest.expires_s;
  done_ = note_.offset;
  continued_ = done_ > 0;
  failures_ = 0;
  state_ = State::offered;
  // What did not stand once waits as long as its trial was: till then the world may be better.
  due_ms_ = note_.reason == UpdateReason::none ? 0 : begun_ms_ + trial_ms_;
}

void Update::stop_loading() {
  if (fetching_) {
    parts_.source.close();
  }
  fetching_ = false;
  trouble_ = UpdateReason::none;
  state_ = State::idle;
}

void Update::settle(UpdateNote::Phase phase, UpdateReason reason) {
  stop_loading();
  note_.phase = phase;
  note_.reason = reason;
  if (phase == UpdateNote::Phase::valid) {
    note_.floor = std::max(note_.floor, note_.next_floor);
  }
  save_note();
  tell_outcome();
  log_outcome();
}

void Update::epoch_kept(std::uint32_t seq) {
  SpoolReader reader(parts_.spool, seq, seq + 1, SpoolReader::Which::all);
  EpochRecord record{};
  kept_epoch_ = reader.next(record) && record.seq == seq;
}

bool Update::spool_as_before() const {
  return note_.next_seq == 0 ||
         (parts_.spool.stream() == note_.stream && parts_.spool.next_seq() >= note_.next_seq);
}

// A new image: whatever it finds, it does not stay if it cannot do a device's work.
void Update::begin_trial() {
  state_ = State::trial;
  due_ms_ = deadline_ms_ = now() + trial_ms_;
  parts_.log.write(LogLevel::info, "update: build %lu is on trial",
                   static_cast<unsigned long>(running_.build));
  if (note_.phase == UpdateNote::Phase::trying) {
    report("pending");
  }
  if (!spool_as_before()) {
    due_ms_ = 0;
  }
}

void Update::judge() {
  if (!spool_as_before()) {
    fail_trial(UpdateReason::spool_unsound);
  } else if (up_ && kept_epoch_ && !owed_) {
    if (!parts_.slots.keep()) {
      due_ms_ = now() + kRetryMs;
      return;
    }
    state_ = State::idle;
    if (note_.phase == UpdateNote::Phase::trying) {
      settle(UpdateNote::Phase::valid, UpdateReason::none);
    }
  } else if (now() >= deadline_ms_) {
    fail_trial(kept_epoch_ ? UpdateReason::no_broker : UpdateReason::spool_unsound);
  }
}

void Update::fail_trial(UpdateReason reason) {
  note_.reason = reason;  // the other image tells
  save_note();
  if (parts_.slots.give_up()) {
    state_ = State::leaving_now;
  } else {
    due_ms_ = now() + kRetryMs;
  }
}

bool Update::expired() const {
  return parts_.wall_clock.utc_at(now()) >= std::uint64_t{1000} * wanted_.expires_s;
}

void Update::poll() {
  if (state_ == State::trial) {
    judge();
  } else if (state_ != State::idle && now() >= due_ms_) {
    switch (state_) {
      case State::offered:
        start_loading();
        break;
      case State::loading:
        load();
        break;
      case State::verifying:
        verify();
        break;
      case State::switching:
        boot_image();
        break;
      case State::leaving:
        leave();
        break;
      default:
        break;
    }
  }
  send_report();
}

std::uint64_t Update::wake_ms() const {
  const bool resting = state_ == State::idle || state_ == State::leaving_now;
  const bool tells = up_ && owed_ && message_ < 0;
  return std::min(resting ? kNever : due_ms_, tells ? report_due_ms_ : kNever);
}

}  // namespace noctis
