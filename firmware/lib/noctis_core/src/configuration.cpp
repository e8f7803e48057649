#include "noctis/configuration.hpp"

#include <algorithm>
#include <array>

#include "noctis/bytes.hpp"

namespace noctis {
namespace {

// The owner (u32), then the JSON as it came: a firmware that knows more names follows more.
constexpr const char* kName = "config";
constexpr std::size_t kOwnerSize = 4;
static_assert(kOwnerSize + kMostConfig == Store::kMostValue);
using Record = std::array<std::uint8_t, Store::kMostValue>;

}  // namespace

void Configuration::begin(std::uint32_t owner) {
  owner_ = owner;
  Record record{};
  const auto size = store_.get(kName, record.data(), record.size());
  if (!size || *size < kOwnerSize || get_u32(record.data()) != owner) {
    return;
  }
  if (const auto config = read_config(&record[kOwnerSize], *size - kOwnerSize)) {
    follow(*config);
  }
}

void Configuration::follow(const Config& config) {
  config_ = config;
  log_.set_level(config.settings.log_level);
  board_.allow_light(config.settings.led);
}

bool Configuration::keep(const std::uint8_t* data, std::size_t size) {
  Record record{};
  put_u32(record.data(), owner_);
  std::copy_n(data, size, record.begin() + kOwnerSize);
  return store_.put(kName, record.data(), kOwnerSize + size);
}

void Configuration::on_state(bool up) {
  report_.on_state(up);
  if (up) {
    report_.owe();
  }
}

void Configuration::on_message(const std::uint8_t* data, std::size_t size) {
  const auto config = read_config(data, size);
  if (!config) {
    log_.write(LogLevel::warning, "a configuration of %lu bytes makes no sense",
               static_cast<unsigned long>(size));
    return;
  }
  if (config->version < config_.version) {
    return;
  }
  if (config->version > config_.version) {
    if (!keep(data, size)) {
      log_.write(LogLevel::error, "configuration %lu could not be stored",
                 static_cast<unsigned long>(config->version));
      return;
    }
    follow(*config);
    log_.write(config_.refusals == 0 ? LogLevel::info : LogLevel::warning,
               "configuration %lu is followed, %lu of its names are not",
               static_cast<unsigned long>(config_.version),
               static_cast<unsigned long>(config_.refusals));
  }
  report_.owe();
}

void Configuration::poll() {
  if (!report_.due(clock_.monotonic_ms())) {
    return;
  }
  char json[Config::kReportSize];
  const std::size_t size = config_.report(json);
  report_.sent(
      uplink_.publish(Channel::config, reinterpret_cast<const std::uint8_t*>(json), size),
      clock_.monotonic_ms());
}

bool Configuration::forget() {
  if (!store_.remove(kName)) {
    return false;
  }
  follow(Config{});
  return true;
}

}  // namespace noctis
