#include "fleet.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "boot.hpp"

namespace noctis::host {
namespace {

constexpr int kDifferentNights = 32;  // in a fleet: made-up nights take memory
constexpr double kReportS = 10;       // the first; each next one after twice the time,
constexpr double kReportsS = 300;     // up to this
// A platform may take that long to answer a fleet at full speed, eight epochs a device.
constexpr double kGraceS = 3;
constexpr double kGracePerDeviceS = 0.02;
constexpr double kConnectsPerS = 500;  // a herd would only make the broker refuse it
constexpr int kMostSaid = 20;
constexpr rlim_t kOtherFiles = 32;
constexpr double kFleetTickS = 0.005;  // many sockets: poll them together, not one by one
constexpr std::size_t kManyDevices = 50;
constexpr double kLongestWaitS = 1;
constexpr double kServiceS = 0.02;

double steady_clock() {
  using Seconds = std::chrono::duration<double>;
  return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A device takes the chip and the log; and in a network a socket and the client's pair of them.
bool allow_files(int devices, bool network, std::string& error) {
  const auto needed = static_cast<rlim_t>(devices) * (network ? 5 : 2) + kOtherFiles;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
    return true;
  }
  const rlim_t most = limit.rlim_max;
  limit.rlim_cur = most;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (most < needed) {
    error = std::to_string(devices) + " devices take " + std::to_string(needed) +
            " open files, and the limit is " + std::to_string(most) +
            ": raise it (ulimit -n), or run fewer devices in each of several processes";
  }
  return most >= needed;
}

std::string suffix_of(int index) {
  char text[16];
  std::snprintf(text, sizeof text, "-%04d", index + 1);
  return text;
}

std::string night_name(const Options& options, std::uint64_t seed) {
  if (!options.night.empty()) {
    return options.night;
  }
  char text[80];
  std::snprintf(text, sizeof text, "seed %llu, %.6g h", static_cast<unsigned long long>(seed),
                options.hours);
  return text;
}

}  // namespace

bool Fleet::load_nights(std::string& error) {
  if (!options_.night.empty()) {
    auto night = load_night(options_.night, error);
    if (!night) {
      return false;
    }
    nights_.push_back(std::move(*night));
    return true;
  }
  const int count = std::min(options_.devices, kDifferentNights);
  for (int i = 0; i < count; ++i) {
    nights_.push_back(
        make_up_night(options_.seed + static_cast<std::uint64_t>(i), options_.hours));
  }
  return true;
}

DeviceSettings Fleet::settings_of(int index, const Passwords& passwords) {
  const std::string suffix = options_.devices > 1 ? suffix_of(index) : "";
  const std::string device = options_.device + suffix;
  DeviceSettings settings;
  settings.network = {options_.host,
                      options_.port,
                      options_.tenant,
                      device,
                      passwords.of(options_.tenant + "/" + device),
                      {},
                      {}};
  settings.network.tls = options_.tls;
  if (!options_.tls.key.empty()) {
    settings.network.tls.certificate += suffix;
    settings.network.tls.key += suffix;
  }
  settings.network.connect_after_s = index / kConnectsPerS;
  settings.nor = options_.nor + suffix;
  settings.log = options_.log + suffix;
  settings.night =
      night_name(options_, options_.seed + static_cast<std::size_t>(index) % nights_.size());
  settings.speed = options_.offline ? std::numeric_limits<double>::infinity() : options_.speed;
  settings.start_s = options_.start;
  settings.clock = {options_.clock_after, options_.speed <= 1 && !options_.start, {}};
  if (options_.clock_faults) {
    settings.clock.fault_seed = options_.seed + static_cast<std::uint64_t>(index);
  }
  settings.delay_s = std::isfinite(options_.speed) ? kEpochS * index / options_.devices : 0;
  settings.online = !options_.offline;
  settings.grace_s = kGraceS + kGracePerDeviceS * options_.devices;
  settings.faults = options_.faults;
  settings.sensors = options_.sensors;
  settings.seed = mix(options_.seed) + static_cast<std::uint64_t>(index);
  settings.say = [this](const std::string& message) { say(message); };
  settings.updates = options_.updates;
  settings.reset = reset_reason();
  if (options_.claim) {
    settings.network.password = options_.claim->password;
    settings.network.claimed = options_.claim->tls;
  }
  settings.talkative = options_.devices == 1;
  return settings;
}

bool Fleet::open(std::string& error) {
  Passwords passwords;
  if (!allow_files(options_.devices, !options_.offline, error) || !load_nights(error) ||
      !passwords.load(options_.password_file, error)) {
    return false;
  }
  for (int i = 0; i < options_.devices; ++i) {
    const Night& night = nights_[static_cast<std::size_t>(i) % nights_.size()];
    devices_.push_back(std::make_unique<Device>(settings_of(i, passwords), night));
    if (!devices_.back()->open(error)) {
      return false;
    }
  }
  wake_s_.assign(devices_.size(), 0);
  report_every_s_ = kReportS;
  report_at_s_ = steady_clock() + report_every_s_;
  return true;
}

bool Fleet::boot_due() const {
  return std::any_of(devices_.begin(), devices_.end(),
                     [](const auto& device) { return device->boot_due(); });
}

bool Fleet::done() const {
  if (boot_due()) {
    return true;
  }
  return std::all_of(devices_.begin(), devices_.end(), [this](const auto& device) {
    return options_.offline ? device->played() : options_.once && device->finished();
  });
}

void Fleet::attend(std::function<bool()> service, const std::function<bool()>& network) {
  service_ = std::move(service);
  for (const auto& device : devices_) {
    device->set_network(network);
  }
}

// A fleet in trouble would fill the screen.
void Fleet::say(const std::string& message) {
  if (said_++ < kMostSaid) {
    std::fprintf(stderr, "noctis-device %s%s\n", message.c_str(),
                 said_ == kMostSaid ? " (and no more of this)" : "");
  }
}

bool Fleet::step(std::size_t index, double now_s, std::string& error) {
  Device& device = *devices_[index];
  wake_s_[index] = device.step(now_s);
  if (const MosquittoUplink* uplink = device.uplink()) {
    const Interest interest = uplink->muted()         ? Interest::none
                              : uplink->wants_write() ? Interest::reading_and_writing
                                                      : Interest::reading;
    poller_.watch(index, uplink->socket(), uplink->connection(), interest);
  } else {
    poller_.watch(index, -1, 0, Interest::none);
  }
  if (!device.defect().empty()) {
    error = "this must never happen: " + device.name() + ": " + device.defect() +
            "; the faults were those of --seed " + std::to_string(options_.seed);
  }
  return device.defect().empty();
}

// Waits for the sockets until then, serves them, and marks their devices as due.
void Fleet::wait(double until_s) {
  for (const ReadySocket& ready :
       poller_.wait(std::clamp(until_s - steady_clock(), 0.0, kLongestWaitS))) {
    MosquittoUplink* uplink = devices_[ready.owner]->uplink();
    if (uplink != nullptr && ready.writable) {
      uplink->writable();
    }
    if (uplink != nullptr && ready.readable) {
      uplink->readable();
    }
    wake_s_[ready.owner] = 0;
  }
}

void Fleet::report(double now_s) {
  if (now_s < report_at_s_) {
    return;
  }
  report_at_s_ = now_s + report_every_s_;
  report_every_s_ = std::min(2 * report_every_s_, kReportsS);
  const std::string text = summary();
  if (text != last_report_) {
    std::fprintf(stderr, "noctis-device: %s\n", text.c_str());
  }
  last_report_ = text;
}

std::string Fleet::summary() const {
  std::uint64_t made = 0;
  std::uint64_t backlog = 0;
  std::uint64_t overwritten = 0;
  std::uint64_t losses = 0;
  std::uint64_t cuts = 0;
  for (const auto& device : devices_) {
    made += device->made();
    backlog += device->backlog();
    overwritten += device->overwritten();
    losses += device->link_losses();
    cuts += device->power_cuts();
  }
  std::string text =
      std::to_string(made) + " epochs made, " + std::to_string(backlog) + " to be acknowledged";
  if (overwritten > 0) {
    text += ", " + std::to_string(overwritten) + " overwritten before they were";
  }
  if (losses + cuts > 0) {
    text +=
        "; " + std::to_string(losses) + " link losses, " + std::to_string(cuts) + " power cuts";
  }
  return text;
}

// Steps whoever is due; next_s is when the next one will be.
bool Fleet::step_all(const volatile int* stop, double& next_s, std::string& error) {
  next_s = std::numeric_limits<double>::max();
  double now_s = steady_clock();
  for (std::size_t i = 0; i < devices_.size() && *stop == 0; ++i) {
    if (wake_s_[i] <= now_s) {
      if (!step(i, now_s, error)) {
        return false;
      }
      now_s = steady_clock();
    }
    next_s = std::min(next_s, wake_s_[i]);
  }
  return true;
}

bool Fleet::run(const volatile int* stop, std::string& error) {
  double next_s = 0;
  while (*stop == 0) {
    if (!step_all(stop, next_s, error)) {
      return false;
    }
    if (done() || (service_ && !service_())) {
      break;
    }
    const double now_s = steady_clock();
    report(now_s);
    if (devices_.size() > kManyDevices && std::isfinite(options_.speed)) {
      next_s = std::max(next_s, now_s + kFleetTickS);
    }
    wait(service_ ? std::min(next_s, now_s + kServiceS) : next_s);
  }
  for (const auto& device : devices_) {
    device->close();
  }
  if (devices_.size() > 1) {
    std::fprintf(stderr, "noctis-device: %s\n", summary().c_str());
  }
  return true;
}

}  // namespace noctis::host
