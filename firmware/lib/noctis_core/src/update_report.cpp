// What a device says of its update.
#include <algorithm>
#include <cstdio>

#include "noctis/update.hpp"

namespace noctis {
namespace {

constexpr std::uint64_t kRetryMs = 1000;  // of an uplink that took nothing

}  // namespace

void Update::report(const char* state) {
  told_state_ = state;
  owed_ = true;
  message_ = -1;
  report_due_ms_ = 0;
}

void Update::log_outcome() {
  const auto build = static_cast<unsigned long>(note_.build);
  switch (note_.phase) {
    case UpdateNote::Phase::valid:
      return parts_.log.write(LogLevel::info, "update: build %lu stands", build);
    case UpdateNote::Phase::rolled_back:
      return parts_.log.write(LogLevel::error, "update: build %lu is rolled back: %s", build,
                              name_of(note_.reason));
    default:
      return parts_.log.write(LogLevel::error, "update: build %lu is refused: %s", build,
                              name_of(note_.reason));
  }
}

void Update::tell_outcome() {
  switch (note_.phase) {
    case UpdateNote::Phase::valid:
      return report("valid");
    case UpdateNote::Phase::rolled_back:
      return report("rolled_back");
    default:
      return report("refused");
  }
}

void Update::send_report() {
  if (!up_ || !owed_ || message_ >= 0 || now() < report_due_ms_) {
    return;
  }
  char json[kReportSize];
  const auto id_size = static_cast<int>(note_.rollout.size());
  const bool loads = state_ == State::loading || trouble_ != UpdateReason::none;
  int size = std::snprintf(
      json, sizeof json, R"({"rollout":"%.*s","state":"%s","version":"%.*s","build":%lu)",
      id_size, note_.rollout.data(), told_state_, static_cast<int>(kMostVersion),
      running_.version, static_cast<unsigned long>(running_.build));
  const auto left = [&] { return sizeof json - static_cast<std::size_t>(size); };
  if (loads) {
    size += std::snprintf(json + size, left(), R"(,"percent":%lu)",
                          static_cast<unsigned long>(percent_));
  }
  const UpdateReason why = trouble_ == UpdateReason::none ? note_.reason : trouble_;
  if (note_.phase != UpdateNote::Phase::trying && why != UpdateReason::none) {
    size += std::snprintf(json + size, left(), R"(,"reason":"%s")", name_of(why));
  }
  size += std::snprintf(json + size, left(), "}");
  message_ = parts_.uplink.publish(Channel::ota, reinterpret_cast<const std::uint8_t*>(json),
                                   static_cast<std::size_t>(size));
  report_due_ms_ = message_ < 0 ? now() + kRetryMs : 0;
}

}  // namespace noctis
