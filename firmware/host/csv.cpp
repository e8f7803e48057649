#include "csv.hpp"

#include <cmath>

#include "noctis/quantise.hpp"
#include "sensors.hpp"

namespace noctis::host {
namespace {

void print_epoch(double t_s, NightStage stage, const Epoch& epoch, std::FILE* out) {
  std::fprintf(out, "%.10g,%s,%d", t_s, stage_text(stage), epoch.in_bed ? 1 : 0);
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    const double value = dequantise(static_cast<Feature>(i), epoch.codes[i]);
    if (std::isnan(value)) {
      std::fputc(',', out);
    } else {
      std::fprintf(out, ",%.6g", value);
    }
  }
  std::fputc('\n', out);
}

}  // namespace

int print_csv(const Night& night, std::FILE* out) {
  std::fputs("t_s,stage,in_bed", out);
  for (const FeatureCode& feature : kFeatures) std::fprintf(out, ",%s", feature.name);
  std::fputc('\n', out);
  SensorFeed feed(night);
  EpochBuilder builder;
  builder.begin(0);
  for (std::size_t k = 0; k < night.epochs(); ++k) {
    const double from_s = static_cast<double>(k) * kEpochS;
    feed.play(from_s, from_s + kEpochS, builder);
    const Epoch epoch = builder.finish(static_cast<std::uint32_t>((k + 1) * kEpochMs));
    print_epoch(from_s, night.stages[k], epoch, out);
  }
  return std::fflush(out) == 0 && std::ferror(out) == 0 ? 0 : 1;
}

}  // namespace noctis::host
