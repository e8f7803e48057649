#include "csv.hpp"

#include <cmath>
#include <string>

#include "noctis/quantise.hpp"
#include "sensors.hpp"
#include "signals.hpp"

namespace noctis::host {
namespace {

std::string header() {
  std::string line = "t_s,stage,in_bed";
  for (const FeatureCode& feature : kFeatures) {
    line.append(",").append(feature.name);
  }
  return line + "\n";
}

std::string row(std::size_t k, NightStage stage, const Epoch& epoch) {
  std::string line = std::to_string(k * kEpochMs / 1000);
  line.append(",").append(stage_text(stage)).append(epoch.in_bed ? ",1" : ",0");
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    const double value = dequantise(static_cast<Feature>(i), epoch.codes[i]);
    line += ',';
    if (!std::isnan(value)) {
      char text[32];
      const int size = std::snprintf(text, sizeof text, "%.6g", value);
      line.append(text, static_cast<std::size_t>(size));
    }
  }
  return line + "\n";
}

bool write(const std::string& text, std::FILE* out) {
  return std::fwrite(text.data(), 1, text.size(), out) == text.size();
}

}  // namespace

int print_csv(const Night& night, const SensorSetup& setup, std::FILE* out) {
  bool written = write(header(), out);
  SensorFeed feed(night, setup);
  EpochBuilder builder;
  builder.begin(0);
  for (std::size_t k = 0; k < night.epochs() && written; ++k) {
    const double from_s = static_cast<double>(k) * kEpochS;
    feed.play(from_s, from_s + kEpochS, builder);
    const Epoch epoch = builder.finish(static_cast<std::uint32_t>((k + 1) * kEpochMs));
    written = write(row(k, night.stages[k], epoch), out);
  }
  return written && std::fflush(out) == 0 ? 0 : 1;
}

int print_csv_of_signals(const std::string& path, std::FILE* out, std::string& error) {
  bool written = write(header(), out);
  std::size_t k = 0;
  const auto print = [&](const Epoch& epoch) {
    written = write(row(k++, NightStage::unscored, epoch), out) && written;
  };
  return read_signals(path, print, error) && written && std::fflush(out) == 0 ? 0 : 1;
}

}  // namespace noctis::host
