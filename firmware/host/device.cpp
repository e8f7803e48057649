#include "device.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

namespace noctis::host {
namespace {

constexpr double kRetryS = 1;              // after a full disk
constexpr std::uint64_t kMarkEvery = 280;  // epochs
constexpr double kRestartS = 1;            // from a restart to the boot
constexpr double kHeldS = 0.1;             // looks again whether the night may go on
constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr Traffic kNothingAwaited{true, false, false, 0};

double wall_clock() {
  using Seconds = std::chrono::duration<double>;
  return Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint32_t epochs_since(Spool& spool, std::uint32_t seq) {
  SpoolReader reader(spool, seq, spool.next_seq(), SpoolReader::Which::all);
  EpochRecord record{};
  std::uint32_t count = 0;
  while (reader.next(record)) {
    ++count;
  }
  return count;
}

double length_s(const Night& night) { return kEpochS * static_cast<double>(night.epochs()); }

}  // namespace

Device::Device(DeviceSettings settings, const Night& night)
    : settings_(std::move(settings)),
      night_(night),
      pace_({settings_.speed, settings_.online, settings_.grace_s}),
      feed_(night, settings_.sensors),
      link_(settings_.faults.link_losses, mix(settings_.seed ^ 0x117CU), 0, length_s(night)),
      power_(settings_.faults.power_cuts, mix(settings_.seed ^ 0x9035U), length_s(night)) {}

void Device::say(const std::string& message) const { settings_.say(name() + ": " + message); }

bool Device::start_firmware(ResetReason reason, std::string& error) {
  DeviceClock::Settings clock = settings_.clock;
  if (clock.fault_seed) {
    clock.fault_seed = mix(*clock.fault_seed ^ power_cuts_);
  }
  const auto tell = [this](const std::string& message) { say(message); };
  board_ = std::make_unique<HostBoard>(reason, tell);
  firmware_ = std::make_unique<Firmware>(
      Firmware::Hardware{*flash_, nor_->chip_tag(), pace_, clock, *store_, *board_,
                         settings_.online, updates_.get()},
      settings_.network, tell);
  switch (firmware_->recorder().boot()) {
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
  firmware_->begin_update();
  return true;
}

bool Device::save_place() {
  mark_.seq = firmware_->spool().next_seq();
  mark_.place_s = night_s(start_ms(epoch_));
  return save_mark(settings_.nor + ".night", mark_);
}

// The spool is the truth of how far the night is; the file beside it only says where to count
// from and when the night began.
bool Device::find_place(double wall_s, std::string& error) {
  const std::string path = settings_.nor + ".night";
  Spool& spool = firmware_->spool();
  const auto mark = load_mark(path);
  const bool same_start = !settings_.start_s || (mark && *settings_.start_s == mark->start_s);
  double place_s = 0;
  if (mark && mark->night == settings_.night && same_start && mark->seq <= spool.next_seq()) {
    mark_ = *mark;
    place_s = mark->place_s + kEpochS * epochs_since(spool, mark->seq);
    made_ = static_cast<std::uint64_t>(place_s / kEpochS);
  } else {
    const double start_s =
        settings_.start_s.value_or(settings_.speed > 1 ? wall_s - length_s(night_) : wall_s);
    mark_ = {settings_.night, start_s, 0, 0};
  }
  first_ms_ = static_cast<std::uint64_t>(1000 * settings_.delay_s);
  boot_night_ms_ = std::llround(1000 * place_s) - static_cast<std::int64_t>(first_ms_);
  if (!save_place()) {
    error = "cannot write " + path + ": is the disk full, or the folder read-only?";
    return false;
  }
  return true;
}

bool Device::open(std::string& error) {
  const double wall_s = wall_clock();
  nor_ = NorFile::open(settings_.nor, error);
  values_ = nor_ ? FileStore::open(settings_.nor + ".store", error) : nullptr;
  if (!values_) {
    return false;
  }
  if (!settings_.updates.slots.empty()) {
    updates_ = UpdateBoard::open(settings_.updates, error);
    if (!updates_) {
      return false;
    }
  }
  flash_ = std::make_unique<TornFlash>(*nor_, mix(settings_.seed ^ 0xF1A5U));
  store_ = std::make_unique<PoweredStore>(*values_, *flash_);
  if (!start_firmware(settings_.reset, error) ||
      !log_.open(settings_.log, settings_.network.tenant, settings_.network.device, error)) {
    return false;
  }
  if (!log_.reconcile(firmware_->spool())) {
    error = "cannot write the log " + settings_.log + ": is the disk full?";
    return false;
  }
  if (!find_place(wall_s, error)) {
    return false;
  }
  kept_.begin(firmware_->spool().next_seq());
  cut_ = power_.next(night_s(0));
  link_.at(night_s(0));
  // A night in real time goes on now; a faster one, or one with a start of its own, goes on
  // where it was.
  const bool now = settings_.speed <= 1 && !settings_.start_s;
  pace_.boot(static_cast<std::uint64_t>(
      std::llround(1000 * (now ? wall_s : mark_.start_s + night_s(0)))));
  if (settings_.talkative) {
    char text[160];
    std::snprintf(text, sizeof text,
                  "stream %016llx, boot %u, epoch %llu of %zu, %u undelivered",
                  static_cast<unsigned long long>(firmware_->spool().stream()),
                  firmware_->spool().boot_seq(), static_cast<unsigned long long>(made_),
                  night_.epochs(), backlog());
    say(text);
  }
  return true;
}

double Device::night_s(std::uint64_t ms) const {
  return static_cast<double>(boot_night_ms_ + static_cast<std::int64_t>(ms)) / 1000;
}

bool Device::played() const {
  return night_s(firmware_ ? due_ms() : power_on_ms_ + kEpochMs) > length_s(night_);
}

// What virtual time without a limit of speed goes on to; nothing: no more is to come.
std::optional<std::uint64_t> Device::next_ms() const {
  if (!firmware_) {
    return power_on_ms_;
  }
  double next_s = std::min(link_.next_s(), cut_.at_s);
  if (!played()) {
    next_s = std::min(next_s, night_s(due_ms()));
  }
  return std::isinf(next_s) ? std::nullopt : std::optional(since_boot(next_s));
}

std::uint64_t Device::since_boot(double night_s) const {
  const std::int64_t ms = std::llround(std::ceil(1000 * night_s)) - boot_night_ms_;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0));
}

std::uint32_t Device::backlog() { return firmware_ ? firmware_->spool().backlog() : backlog_; }

void Device::power_off(std::uint64_t at_ms, double off_s, ResetReason next) {
  backlog_ = backlog();
  pending_.reset();
  firmware_.reset();
  reason_ = next;
  power_cuts_ += next == ResetReason::power_on ? 1 : 0;
  power_on_ms_ = at_ms + static_cast<std::uint64_t>(1000 * off_s);
}

void Device::restart() {
  say("restarts");
  power_off(pace_.night_ms(), kRestartS, ResetReason::software);
}

// What was in RAM is gone; the night went on, and so did the true time.
void Device::power_on() {
  flash_->power_on();
  boot_night_ms_ += static_cast<std::int64_t>(power_on_ms_);
  pace_.boot(pace_.utc_at(power_on_ms_));
  first_ms_ = epoch_ = 0;
  settings_.network.connect_after_s = 0;
  std::string error;
  if (!start_firmware(reason_, error)) {
    defect_ = error;
    return;
  }
  if (erased_) {
    kept_ = {};
    kept_.begin(firmware_->spool().next_seq());
    appending_.reset();
  }
  erased_ = erasing();
  const std::string wrong =
      erased_ ? std::string() : kept_.check(firmware_->spool(), appending_);
  if (!wrong.empty()) {
    defect_ = wrong;
  }
  appending_.reset();
  cut_ = power_.next(night_s(0));
  logged_ = log_.reconcile(firmware_->spool());
  save_place();
}

// A cut that is due; epochs that are due before it come first.
void Device::cut_power() {
  const std::uint64_t at_ms = since_boot(cut_.at_s);
  if (!played() && due_ms() <= at_ms) {
    return;
  }
  cut_.at_s = kNever;
  if (cut_.writes < 0) {
    power_off(at_ms, cut_.off_s, ResetReason::power_on);
  } else {
    flash_->cut_after(cut_.writes);
  }
}

// False while the power is off.
bool Device::have_power() {
  if (firmware_ && flash_->dead()) {
    power_off(pace_.night_ms(), cut_.off_s, ResetReason::power_on);
  } else if (firmware_ && board_->restart_due() && !updates_) {
    restart();
  }
  erased_ = erased_ || erasing();
  if (!firmware_ && pace_.night_ms() >= power_on_ms_) {
    power_on();
  }
  if (firmware_ && night_s(pace_.night_ms()) >= cut_.at_s) {
    cut_power();
  }
  return firmware_ != nullptr;
}

Epoch Device::make_epoch() {
  const double from_s = night_s(start_ms(epoch_));
  const auto night_ms = [this](std::uint64_t ms) {
    return static_cast<std::uint32_t>(boot_night_ms_ + static_cast<std::int64_t>(ms));
  };
  if (epoch_ == 0) {
    feed_.power_up();
    firmware_->recorder().builder().begin(night_ms(start_ms(0)));
  }
  feed_.play(from_s, from_s + kEpochS, firmware_->recorder().builder());
  return firmware_->recorder().finish(night_ms(due_ms()));
}

// Durable first, then live.
void Device::keep_epoch(const Epoch& epoch) {
  const std::uint64_t start = start_ms(epoch_);
  appending_ = encode_slot(epoch);
  const auto seq = firmware_->recorder().keep(epoch, start);
  if (flash_->dead()) {
    return;
  }
  if (!seq) {
    if (retry_at_s_ == 0) {
      say("the flash chip takes no more writes (disk full?); waiting");
    }
    retry_at_s_ = now_s_ + kRetryS;
    pending_ = epoch;
    return;
  }
  defect_ = kept_.add(firmware_->spool().stream(), *seq, *appending_);
  appending_.reset();
  pending_.reset();
  retry_at_s_ = 0;
  ++epoch_;
  ++made_;
  firmware_->epoch_kept(*seq);
  const double published_at = wall_clock();
  const bool live = firmware_->recorder().publish(*seq);
  log(*seq, static_cast<double>(pace_.utc_at(start)) / 1000,
      live ? std::optional(published_at) : std::nullopt);
  if (epoch_ % kMarkEvery == 0) {
    save_place();
  }
}

void Device::log(std::uint32_t seq, double began_at, std::optional<double> published_at) {
  Spool& spool = firmware_->spool();
  SpoolReader reader(spool, seq, seq + 1, SpoolReader::Which::all);
  EpochRecord record{};
  const bool kept =
      logged_ && reader.next(record) && log_.append(record, began_at, published_at);
  if (!kept && logged_) {
    say("cannot write the log " + settings_.log + " (disk full?); trying on");
  }
  logged_ = kept || log_.reconcile(spool);
}

// Lets virtual time pass: it waits for the network, but not for one that faults keep away.
void Device::pass(double now_s, Link link) {
  const double passed_s = now_s - now_s_;
  now_s_ = now_s;
  const bool waits = firmware_ && link == Link::sound;
  pace_.pass(passed_s, waits ? firmware_->traffic() : kNothingAwaited,
             next_ms().value_or(pace_.night_ms()));
  if (waits) {
    firmware_->hear_sntp();
  }
}

double Device::step(double now_s) {
  if (now_s_ == 0) {
    now_s_ = now_s;  // the device boots now
  }
  const Link met = link_.at(night_s(pace_.night_ms()));
  const Link link = network_() ? met : Link::dead;
  const double service_s = firmware_ ? firmware_->serve(now_s, link) : 0;  // 0: at the boot
  pass(now_s, link);
  if (have_power()) {
    if (!played() && !erasing() && !pace_.held() && pace_.night_ms() >= due_ms() &&
        now_s >= retry_at_s_) {
      keep_epoch(pending_ ? *pending_ : make_epoch());
    }
    logged_ = logged_ || log_.reconcile(firmware_->spool());
  }
  const double wait_s = firmware_ ? std::min(service_s, until_due()) : until_power();
  return now_s + std::max(0.0, wait_s);
}

// Seconds until virtual time, or the protocol, wants something.
double Device::until_due() {
  if (flash_->dead()) {
    return 0;
  }
  double wait_s = firmware_->send();
  if (const auto next = next_ms()) {
    const double night_s = pace_.held() ? kHeldS : pace_.until_night(*next);
    wait_s = std::min(wait_s, std::max(night_s, retry_at_s_ - now_s_));
  }
  return wait_s;
}

void Device::close() {
  if (firmware_) {
    firmware_->close();
  }
}

}  // namespace noctis::host
