#include "sensor_faults.hpp"

#include <string_view>

#include "night_table.hpp"

namespace noctis::host {
namespace {

using Kind = SensorFault::Kind;

struct Name {
  std::string_view text;
  Kind kind;
};

constexpr Name kNames[] = {
    {"radar-unplugged", Kind::radar_unplugged}, {"radar-frozen", Kind::radar_frozen},
    {"radar-noise", Kind::radar_noise},         {"radar-swapped", Kind::radar_swapped},
    {"no-breathing", Kind::no_breathing},       {"presence-stuck", Kind::presence_stuck},
    {"accel-absent", Kind::accel_absent},       {"accel-frozen", Kind::accel_frozen},
    {"accel-brownout", Kind::accel_brownout},
};

}  // namespace

const char* const kSensorFaultForm =
    "KIND@FROM-TO in seconds of the night, KIND being radar-unplugged, radar-frozen, "
    "radar-noise, radar-swapped, no-breathing, presence-stuck, "
    "accel-absent, accel-frozen or accel-brownout";

std::optional<SensorFault> parse_sensor_fault(const std::string& text) {
  const std::size_t at = text.find('@');
  const std::size_t to = text.find('-', at == std::string::npos ? at : at + 1);
  if (to == std::string::npos) {
    return std::nullopt;
  }
  const auto from_s = parse_number(text.substr(at + 1, to - at - 1));
  const auto to_s = parse_number(text.substr(to + 1));
  for (const Name& name : kNames) {
    if (text.compare(0, at, name.text) == 0 && from_s && to_s && *from_s < *to_s) {
      return SensorFault{name.kind, *from_s, *to_s};
    }
  }
  return std::nullopt;
}

const SensorFault* SensorSetup::fault(Kind kind, std::int64_t ms) const {
  const double t_s = static_cast<double>(ms) / 1000.0;
  for (const SensorFault& fault : faults) {
    if (fault.kind == kind && t_s >= fault.from_s && t_s < fault.to_s) {
      return &fault;
    }
  }
  return nullptr;
}

}  // namespace noctis::host
