#include "life.hpp"

namespace noctis::schedules {
namespace {

constexpr std::uint64_t kStepMs = 500;
constexpr std::uint32_t kBuiltS = 1'710'000'000;  // March 2024
constexpr double kYearS = 365.25 * 86400;

Epoch random_epoch(host::Random& random) {
  Epoch epoch{};
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    epoch.codes[i] = static_cast<std::uint16_t>(random.bits() % (1U << kFeatures[i].bits));
  }
  epoch.in_bed = random.chance(0.5);
  return epoch;
}

}  // namespace

Life::Life(std::size_t index, std::uint64_t seed, std::uint64_t now_ms)
    : index_(index), seed_(seed), random_(seed) {
  crystal_.now_ms = now_ms;
  crystal_.rate = 1 + 1e-6 * random_.uniform(-50, 50);
  power_change_ms_ = now_ms + span_ms(0, 600);
}

void Life::boot() {
  crystal_.booted_ms = crystal_.now_ms;
  spool_ = std::make_unique<Spool>(
      flash_, SpoolIdentity{static_cast<std::uint32_t>(index_), 7, random_.bits()});
  const Spool::Mount mount = spool_->mount();
  wall_clock_ = std::make_unique<WallClock>(crystal_, kBuiltS);
  courier_ = std::make_unique<Courier>(*spool_, *this, crystal_, *wall_clock_, store_, board_,
                                       "schedule", random_.bits());
  courier_->begin(mount);
  timekeeper_ = Timekeeper();
  epoch_start_ms_ = 0;
  sntp_due_ms_ = crystal_.now_ms;
  link_change_ms_ = crystal_.now_ms + span_ms(0, 300);
}

void Life::power_off() {
  link_ = false;
  courier_.reset();
  wall_clock_.reset();
  spool_.reset();
  unconfirmed_.clear();
  request_.reset();
}

void Life::settle() {
  settling_ = true;
  link_change_ms_ = power_change_ms_ = crystal_.now_ms;
}

void Life::change_power() {
  if (crystal_.now_ms < power_change_ms_) {
    return;
  }
  if (!spool_) {
    boot();
    power_change_ms_ = crystal_.now_ms + span_ms(60, 3 * 3600);
  } else if (!settling_) {
    power_off();
    power_change_ms_ = crystal_.now_ms + span_ms(2, random_.chance(0.5) ? 30 : 3600);
  }
}

void Life::change_link() {
  if (crystal_.now_ms < link_change_ms_ || (settling_ && link_)) {
    return;
  }
  link_ = !link_;
  link_change_ms_ = crystal_.now_ms + span_ms(1, random_.chance(0.3) ? 30 : 3600);
  unconfirmed_.clear();
  courier_->on_state(link_);
}

// SNTP is silent, right, or wrong by seconds, hours or years.
void Life::change_sntp() {
  if (crystal_.now_ms >= sntp_change_ms_) {
    sntp_change_ms_ = crystal_.now_ms + span_ms(300, 3600);
    sntp_due_ms_ = crystal_.now_ms;
    const double kind = random_.uniform();
    const double sign = random_.chance(0.5) ? 1 : -1;
    double error_s = random_.uniform(-0.1, 0.1);
    if (kind > 0.9) {
      error_s = sign * kYearS * random_.uniform(0.1, 4);  // also before the build
    } else if (kind > 0.8) {
      error_s = sign * random_.uniform(600, 100'000);
    } else if (kind > 0.7) {
      error_s = sign * random_.uniform(2, 60);
    }
    sntp_error_ms_.reset();
    if (kind > 0.4) {
      sntp_error_ms_ = static_cast<std::int64_t>(1000 * error_s);
    }
  }
  if (sntp_error_ms_ && crystal_.now_ms >= sntp_due_ms_) {
    sntp_due_ms_ = crystal_.now_ms + span_ms(60, 600);
    wall_clock_->learn(ClockSource::sntp,
                       crystal_.now_ms + static_cast<std::uint64_t>(*sntp_error_ms_));
  }
}

void Life::make_epoch() {
  if (settling_ || crystal_.monotonic_ms() < epoch_start_ms_ + kEpochMs) {
    return;
  }
  const std::uint64_t start_ms = epoch_start_ms_;
  const std::uint64_t utc_ms = wall_clock_->utc_at(start_ms);
  const Epoch epoch = random_epoch(random_);
  const auto seq = spool_->append(epoch, timekeeper_.stamp(start_ms, utc_ms));
  // Now and then the sensors hang, and the grid breaks.
  epoch_start_ms_ = start_ms + kEpochMs + (random_.chance(0.01) ? span_ms(0, 90) : 0);
  Made made{spool_->stream(),           seq.value_or(0), spool_->boot_seq(),
            crystal_.true_at(start_ms), std::nullopt,    encode_slot(epoch)};
  if (utc_ms != 0) {
    made.error_ms = static_cast<std::int64_t>(utc_ms - made.began_ms);
  }
  made_.push_back(made);
  courier_->epoch_made(made.seq);
}

int Life::publish(Channel channel, const std::uint8_t* data, std::size_t size) {
  if (!link_ || (!settling_ && random_.chance(0.03))) {
    return -1;
  }
  if (channel == Channel::time) {
    request_ = Bytes(data, data + size);
  } else if ((channel == Channel::epochs || channel == Channel::backlog) &&
             (settling_ || !random_.chance(0.08))) {
    sent_->push_back({index_, channel, Bytes(data, data + size)});
  }
  if (settling_ || random_.chance(0.9)) {
    unconfirmed_.push_back(next_id_);
  }
  return next_id_++;
}

void Life::hear(const Bytes& ack) {
  if (link_) {
    courier_->on_message(DownChannel::ack, ack.data(), ack.size());
  }
}

void Life::live(std::uint64_t until_ms, std::vector<Sent>& sent, const Ask& ask) {
  sent_ = &sent;
  while (crystal_.now_ms < until_ms) {
    crystal_.now_ms += kStepMs;
    change_power();
    if (!spool_) {
      continue;
    }
    change_link();
    change_sntp();
    make_epoch();
    if (link_) {
      for (const int id : unconfirmed_) {
        courier_->on_ack(id);
      }
    }
    unconfirmed_.clear();
    courier_->poll();
    if (request_) {
      const std::uint64_t there_ms = span_ms(0.01, 1.3);
      const Bytes reply = ask(*request_, crystal_.now_ms + there_ms);
      request_.reset();
      crystal_.now_ms += there_ms + span_ms(0.01, 1.3);
      if (random_.chance(0.8)) {
        courier_->on_message(DownChannel::time, reply.data(), reply.size());
      }
    }
  }
}

}  // namespace noctis::schedules
