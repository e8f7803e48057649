#include "device.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <limits>
#include <utility>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::host {
namespace {

constexpr const char* kFirmware = "noctis-device 0.1.0";
constexpr double kRetryS = 1;              // after a full disk
constexpr std::uint64_t kMarkEvery = 280;  // epochs
constexpr double kForever = std::numeric_limits<double>::max();

double wall_clock() {
  using Seconds = std::chrono::duration<double>;
  return Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

// From the operating system, never from a seed: no two spools may ever get the same.
std::uint64_t random_bits() {
  std::array<std::uint8_t, 8> bytes{};
  while (::getentropy(bytes.data(), bytes.size()) != 0) {
  }
  return get_u64(bytes.data());
}

std::uint32_t hash(const std::string& text) {
  return crc32(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

}  // namespace

Device::Device(DeviceSettings settings, const Night& night)
    : settings_(std::move(settings)), night_(night), feed_(night) {}

void Device::say(const std::string& message) const {
  std::fprintf(stderr, "noctis-device %s: %s\n", name().c_str(), message.c_str());
}

bool Device::open_spool(std::string& error) {
  nor_ = NorFile::open(settings_.nor, error);
  if (!nor_) {
    return false;
  }
  spool_ = std::make_unique<Spool>(
      *nor_, SpoolIdentity{hash(name()), nor_->chip_tag(), random_bits()});
  switch (spool_->mount()) {
    case Spool::Mount::unreadable:
      error = "the flash chip " + settings_.nor +
              " holds something that is no spool: move the file away to begin a new one";
      return false;
    case Spool::Mount::new_stream:
      say("the flash chip " + settings_.nor +
          " is a copy or was another device's: a new stream begins");
      break;
    case Spool::Mount::ready:
    case Spool::Mount::fresh:
      break;
  }
  return true;
}

std::uint32_t Device::epochs_since(std::uint32_t seq) {
  SpoolReader reader(*spool_, seq, spool_->next_seq(), SpoolReader::Which::all);
  EpochRecord record{};
  std::uint32_t count = 0;
  while (reader.next(record)) {
    ++count;
  }
  return count;
}

// The spool is the truth of how far the night is; the file beside it only says where to count
// from and when the night began.
bool Device::find_place(double wall_s, std::string& error) {
  const std::string path = settings_.nor + ".night";
  const double length_s = kEpochS * static_cast<double>(night_.epochs());
  const auto mark = load_mark(path);
  const bool same_start = !settings_.start_s || (mark && *settings_.start_s == mark->start_s);
  if (mark && mark->night == settings_.night && same_start && mark->seq <= spool_->next_seq()) {
    mark_ = *mark;
    epoch_ = std::min<std::uint64_t>(mark->epoch + epochs_since(mark->seq), night_.epochs());
  } else {
    const double start_s =
        settings_.start_s.value_or(settings_.speed > 1 ? wall_s - length_s : wall_s);
    mark_ = {settings_.night, start_s, 0, 0};
  }
  mark_.seq = spool_->next_seq();
  mark_.epoch = epoch_;
  if (!save_mark(path, mark_)) {
    error = "cannot write " + path + ": is the disk full, or the folder read-only?";
    return false;
  }
  return true;
}

bool Device::open(std::string& error) {
  const double wall_s = wall_clock();
  if (!open_spool(error) ||
      !log_.open(settings_.log, settings_.tenant, settings_.device, error)) {
    return false;
  }
  if (!log_.reconcile(*spool_)) {
    error = "cannot write the log " + settings_.log + ": is the disk full?";
    return false;
  }
  if (!find_place(wall_s, error)) {
    return false;
  }
  first_epoch_ = epoch_;
  // A night in real time goes on now; a faster one, or one with a start of its own, goes on
  // where it was.
  const bool now = settings_.speed <= 1 && !settings_.start_s;
  begin(now ? wall_s
            : mark_.start_s + kEpochS * static_cast<double>(epoch_) - settings_.delay_s);
  return true;
}

void Device::begin(double boot_utc_s) {
  pace_ = std::make_unique<Pace>(
      Pace::Settings{settings_.speed, boot_utc_s, settings_.network, settings_.grace_s});
  const bool wall_time = settings_.speed <= 1 && !settings_.start_s;
  clock_ = std::make_unique<DeviceClock>(
      *pace_,
      DeviceClock::Settings{settings_.clock_after_s, wall_time, settings_.clock_fault_seed});
  MosquittoUplink::Events events;
  events.on_state = [this](bool up) {
    network_alive_s_ = now_s_;
    courier_->on_state(up);
  };
  events.on_ack = [this](int id) { courier_->on_ack(id); };
  events.on_message = [this](DownChannel channel, const std::uint8_t* data, std::size_t size) {
    network_alive_s_ = now_s_;
    if (channel == DownChannel::time) {
      const auto heard = clock_->hear(data, size);
      courier_->on_message(channel, heard.data(), heard.size());
    } else {
      courier_->on_message(channel, data, size);
    }
  };
  events.last_will = [this] {
    char json[Courier::kStatusSize];
    return std::string(json, courier_->status("lost", json));
  };
  events.on_trouble = [this](const std::string& message) { say(message); };
  uplink_ = std::make_unique<MosquittoUplink>(
      MosquittoUplink::Settings{settings_.broker, settings_.port, settings_.tenant,
                                settings_.device, settings_.password},
      std::move(events));
  courier_ = std::make_unique<Courier>(*spool_, *uplink_, *pace_, clock_->wall(), kFirmware,
                                       random_bits());
  char text[160];
  std::snprintf(text, sizeof text,
                "stream %016llx, boot %u, epoch %llu of %llu, %u undelivered",
                static_cast<unsigned long long>(spool_->stream()), spool_->boot_seq(),
                static_cast<unsigned long long>(epoch_),
                static_cast<unsigned long long>(night_.epochs()), spool_->backlog());
  if (settings_.talkative) {
    say(text);
  }
}

// Since boot.
std::uint64_t Device::start_ms(std::uint64_t epoch) const {
  return static_cast<std::uint64_t>(1000 * settings_.delay_s) +
         (epoch - first_epoch_) * kEpochMs;
}

std::uint64_t Device::due_ms() const { return start_ms(epoch_ + 1); }

Traffic Device::traffic() {
  const bool in_flight = courier_->in_flight() > 0;
  if (courier_->up() && !in_flight) {
    network_alive_s_ = now_s_;  // nothing is awaited: no silence
  }
  return {courier_->up(), in_flight, courier_->live_window_full(), now_s_ - network_alive_s_};
}

Epoch Device::make_epoch() {
  const double from_s = kEpochS * static_cast<double>(epoch_);
  const auto night_ms = [](double s) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(1000 * s));
  };
  if (epoch_ == first_epoch_) {
    builder_.begin(night_ms(from_s));
  }
  feed_.play(from_s, from_s + kEpochS, builder_);
  const Epoch epoch = builder_.finish(night_ms(from_s + kEpochS));
  courier_->set_health(builder_.health());
  return epoch;
}

// Durable first, then live.
void Device::keep_epoch(const Epoch& epoch) {
  const std::uint64_t start = start_ms(epoch_);
  Timekeeper timekeeper = timekeeper_;
  const auto seq = spool_->append(epoch, timekeeper.stamp(start, clock_->wall().utc_at(start)));
  if (!seq) {
    if (retry_at_s_ == 0) {
      say("the flash chip takes no more writes (disk full?); waiting");
    }
    retry_at_s_ = now_s_ + kRetryS;
    pending_ = epoch;
    return;
  }
  timekeeper_ = timekeeper;
  pending_.reset();
  retry_at_s_ = 0;
  ++epoch_;
  const double published_at = wall_clock();
  const bool live = courier_->epoch_made(*seq);
  log(*seq, live ? std::optional(published_at) : std::nullopt);
  if (epoch_ - mark_.epoch >= kMarkEvery) {
    mark_.seq = *seq + 1;
    mark_.epoch = epoch_;
    save_mark(settings_.nor + ".night", mark_);
  }
}

void Device::log(std::uint32_t seq, std::optional<double> published_at) {
  SpoolReader reader(*spool_, seq, seq + 1, SpoolReader::Which::all);
  EpochRecord record{};
  const bool kept = logged_ && reader.next(record) && log_.append(record, published_at);
  if (!kept && logged_) {
    say("cannot write the log " + settings_.log + " (disk full?); trying on");
  }
  logged_ = kept || log_.reconcile(*spool_);
}

double Device::step(double now_s) {
  if (now_s_ == 0) {
    now_s_ = network_alive_s_ = now_s;  // the device boots now
  }
  const double service_s = settings_.network ? uplink_->service(now_s) : kForever;
  const double passed_s = now_s - now_s_;
  now_s_ = now_s;
  pace_->pass(passed_s, traffic(), due_ms());
  clock_->step();
  if (!played() && !pace_->held() && pace_->night_ms() >= due_ms() && now_s >= retry_at_s_) {
    keep_epoch(pending_ ? *pending_ : make_epoch());
  }
  if (!logged_) {
    logged_ = log_.reconcile(*spool_);
  }
  courier_->poll();
  double wait_s = std::min(service_s, pace_->until_protocol(courier_->wake_ms()));
  if (!played()) {
    wait_s = std::min(wait_s, std::max(pace_->until_night(due_ms()), retry_at_s_ - now_s));
  }
  return now_s + std::max(0.0, wait_s);
}

void Device::close() {
  if (settings_.network) {
    courier_->publish_status("sleeping");
    uplink_->disconnect();
  }
}

}  // namespace noctis::host
