// An image on its way into the slot, and what is read back from there.
#include <algorithm>

#include "noctis/update.hpp"

namespace noctis {
namespace {

constexpr std::uint64_t kSoonMs = 20;     // nothing has come yet
constexpr std::uint64_t kRetryMs = 1000;  // of a flash, a Store or a clock
constexpr std::uint32_t kMostDoublings = 9;
constexpr std::uint32_t kMostSlotFailures = 5;
constexpr std::uint32_t kTold = 10;  // percent

}  // namespace

// Whether an offer still stands is known only once it is known what time it is.
void Update::start_loading() {
  if (parts_.wall_clock.utc_at(now()) == 0) {
    due_ms_ = now() + kRetryMs;
    return;
  }
  if (expired()) {
    settle(UpdateNote::Phase::refused, UpdateReason::expired);
    return;
  }
  if (done_ == wanted_.size) {
    start_verifying();
    return;
  }
  in_page_ = 0;
  parts_.source.open(wanted_.url, done_);
  fetching_ = true;
  state_ = State::loading;
  deadline_ms_ = now() + kSilentMs;
  percent_ = static_cast<std::uint32_t>(std::uint64_t{100} * done_ / wanted_.size);
  if (trouble_ == UpdateReason::none) {
    report("downloading");
  }
}

// A sector of the slot, or less where no more has come.
void Update::load() {
  due_ms_ = 0;
  for (std::uint32_t i = 0; i < Flash::kSectorSize / Flash::kPageSize; ++i) {
    if (!load_page()) {
      return;
    }
  }
}

// False where there is nothing more to do now.
bool Update::load_page() {
  const std::size_t page = std::min<std::size_t>(page_.size(), wanted_.size - done_);
  if (in_page_ < page) {
    const int count = parts_.source.read(&page_[in_page_], page - in_page_);
    if (count <= 0) {
      take_nothing(count);
      return false;
    }
    in_page_ += static_cast<std::size_t>(count);
    deadline_ms_ = now() + kSilentMs;
    if (in_page_ < page) {
      return true;
    }
  }
  if (!write_page(page)) {
    due_ms_ = now() + kRetryMs;
    if (++slot_failures_ >= kMostSlotFailures) {
      settle(UpdateNote::Phase::refused, UpdateReason::slot_failed);
    }
    return false;
  }
  slot_failures_ = failures_ = 0;
  trouble_ = UpdateReason::none;
  in_page_ = 0;
  done_ += static_cast<std::uint32_t>(page);
  note_progress();
  return state_ == State::loading;
}

void Update::take_nothing(int why) {
  if (why == ImageSource::kNothingYet) {
    due_ms_ = now() + kSoonMs;
    if (now() >= deadline_ms_) {
      source_failed(UpdateReason::no_server);
    }
  } else if (why == ImageSource::kEnded) {
    settle(UpdateNote::Phase::refused, UpdateReason::wrong_size);
  } else if (why == ImageSource::kGone) {
    settle(UpdateNote::Phase::refused, UpdateReason::not_found);
  } else {
    source_failed(why == ImageSource::kUntrusted ? UpdateReason::untrusted_server
                                                 : UpdateReason::no_server);
  }
}

void Update::source_failed(UpdateReason why) {
  parts_.log.write(LogLevel::warning, "no image, %s: %s", name_of(why),
                   parts_.source.trouble());
  if (why != trouble_) {
    trouble_ = why;
    report("downloading");
  }
  parts_.source.close();
  fetching_ = false;
  const std::uint64_t pause_ms =
      std::min(kLeastPauseMs << std::min(failures_, kMostDoublings), kMostPauseMs);
  ++failures_;
  state_ = State::offered;
  due_ms_ = now() + pause_ms + backoff_.random() % (pause_ms / 4);
}

bool Update::write_page(std::size_t size) {
  Flash& slot = parts_.slots.spare();
  if (done_ % Flash::kSectorSize == 0 && !slot.erase(done_ / Flash::kSectorSize)) {
    return false;
  }
  return slot.program(done_, page_.data(), size);
}

// What a loss of power may cost is fetched again; what was noted is not.
void Update::note_progress() {
  if (done_ % kNotedBytes == 0) {
    note_.offset = done_;
    save_note();
  }
  const auto percent = static_cast<std::uint32_t>(std::uint64_t{100} * done_ / wanted_.size);
  if (percent / kTold != percent_ / kTold) {
    percent_ = percent;
    report("downloading");
  }
  if (done_ == wanted_.size) {
    start_verifying();
  }
}

void Update::start_verifying() {
  if (fetching_) {
    parts_.source.close();
  }
  fetching_ = false;
  state_ = State::verifying;
  due_ms_ = 0;
  done_ = 0;
  parts_.crypto.hash_begin();
  report("verifying");
}

// What the flash really holds, a sector at a time.
void Update::verify() {
  Flash& slot = parts_.slots.spare();
  const std::uint32_t end = std::min(wanted_.size, done_ + Flash::kSectorSize);
  while (done_ < end) {
    const auto size =
        static_cast<std::uint32_t>(std::min<std::size_t>(page_.size(), end - done_));
    slot.read(done_, page_.data(), size);
    parts_.crypto.hash_add(page_.data(), size);
    done_ += size;
  }
  if (done_ == wanted_.size) {
    compare(parts_.crypto.hash_end());
  }
}

void Update::compare(const Sha256& found) {
  if (found == note_.sha256) {
    note_.offset = wanted_.size;
    state_ = State::switching;
    boot_image();
    return;
  }
  note_.offset = 0;
  if (!continued_) {
    settle(UpdateNote::Phase::refused, UpdateReason::wrong_hash);
    return;
  }
  continued_ = false;  // once more, all of it
  done_ = 0;
  save_note();
  state_ = State::offered;
}

// Noted first: whoever boots next must know what was tried, and how often.
void Update::boot_image() {
  due_ms_ = now() + kRetryMs;
  if (note_.phase != UpdateNote::Phase::trying) {
    note_.phase = UpdateNote::Phase::trying;
    note_.reason = UpdateReason::none;
    ++note_.attempts;
  }
  if (!note_spool()) {
    return;
  }
  if (!parts_.slots.boot_spare()) {
    settle(UpdateNote::Phase::refused, UpdateReason::slot_failed);
    return;
  }
  state_ = State::leaving;
  kept_epoch_ = false;
  deadline_ms_ = now() + kTellMs;
  epoch_ends_ms_ = now() + kEpochEndMs;
  report("installed");
}

// The boot costs the epoch under construction: it waits for the end of one, but not for ever.
void Update::leave() {
  due_ms_ = now() + kSoonMs;
  const bool told = !owed_ || now() >= deadline_ms_;
  if (told && (kept_epoch_ || now() >= epoch_ends_ms_)) {
    note_spool();
    state_ = State::leaving_now;
  }
}

// What the next image must find.
bool Update::note_spool() {
  note_.next_seq = parts_.spool.next_seq();
  note_.stream = parts_.spool.stream();
  return save_note();
}

}  // namespace noctis
