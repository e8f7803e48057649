#include "signals.hpp"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "sensors.hpp"

namespace noctis::host {
namespace {

constexpr char kHeader[] = "ms,sensor,signal";
constexpr char kRadar[] = "radar";
constexpr char kAccel[] = "accel";

class Printer : public SensorListener {
 public:
  explicit Printer(std::FILE* out) : out_(out) {}

  void radar(std::uint32_t ms, const std::uint8_t* bytes, std::size_t size) override {
    std::string line = std::to_string(ms) + "," + kRadar + ",";
    for (std::size_t i = 0; i < size; ++i) {
      line += "0123456789abcdef"[bytes[i] >> 4U];
      line += "0123456789abcdef"[bytes[i] & 15U];
    }
    print(line);
  }
  void acceleration(std::uint32_t ms, const AccelSample& sample) override {
    std::string line = std::to_string(ms) + "," + kAccel;
    for (const float axis : {sample.x, sample.y, sample.z}) {
      line += "," + std::to_string(std::lrint(axis * kMpu6050LsbPerG));
    }
    print(line);
  }
  void print(const std::string& line) {
    good_ = good_ && std::fwrite(line.data(), 1, line.size(), out_) == line.size() &&
            std::fputc('\n', out_) != EOF;
  }
  [[nodiscard]] bool good() const { return good_; }

 private:
  std::FILE* out_;
  bool good_ = true;
};

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',') {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

bool to_integer(const std::string& text, long least, long most, long& value) {
  char* end = nullptr;
  value = std::strtol(text.c_str(), &end, 10);
  return !text.empty() && *end == '\0' && value >= least && value <= most;
}

bool to_bytes(const std::string& hex, std::vector<std::uint8_t>& bytes) {
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    char* end = nullptr;
    const std::string pair = hex.substr(i, 2);
    bytes.push_back(static_cast<std::uint8_t>(std::strtoul(pair.c_str(), &end, 16)));
    if (*end != '\0') {
      return false;
    }
  }
  return hex.size() % 2 == 0;
}

bool to_sample(const std::vector<std::string>& fields, AccelSample& sample) {
  float* const axes[] = {&sample.x, &sample.y, &sample.z};
  for (std::size_t i = 0; i < 3; ++i) {
    long value = 0;
    if (fields.size() != 5 || !to_integer(fields[i + 2], -32768, 32767, value)) {
      return false;
    }
    *axes[i] = static_cast<float>(value) / kMpu6050LsbPerG;
  }
  return true;
}

// Feeds one line's signal; false if it is none.
bool feed(const std::vector<std::string>& fields, std::uint32_t ms, EpochBuilder& builder) {
  if (fields[1] == kRadar) {
    std::vector<std::uint8_t> bytes;
    if (fields.size() != 3 || !to_bytes(fields[2], bytes)) {
      return false;
    }
    builder.radar(ms, bytes.data(), bytes.size());
    return true;
  }
  AccelSample sample{};
  if (fields[1] != kAccel || !to_sample(fields, sample)) {
    return false;
  }
  builder.acceleration(ms, sample);
  return true;
}

}  // namespace

int print_signals(const Night& night, const SensorSetup& setup, std::FILE* out) {
  Printer printer(out);
  SensorFeed feed(night, setup, &printer);
  EpochBuilder builder;
  builder.begin(0);
  printer.print(kHeader);
  for (std::size_t k = 0; k < night.epochs() && printer.good(); ++k) {
    const double from_s = static_cast<double>(k) * kEpochS;
    feed.play(from_s, from_s + kEpochS, builder);
  }
  return printer.good() && std::fflush(out) == 0 ? 0 : 1;
}

bool read_signals(const std::string& path, const std::function<void(const Epoch&)>& take,
                  std::string& error) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != kHeader) {
    error = path + ": cannot be read, or does not begin with '" + kHeader + "'";
    return false;
  }
  EpochBuilder builder;
  builder.begin(0);
  std::uint32_t now_ms = 0;
  std::uint32_t end_ms = kEpochMs;
  for (std::size_t number = 2; std::getline(file, line); ++number) {
    const auto fields = fields_of(line);
    long ms = 0;
    const bool timed = fields.size() > 2 && to_integer(fields[0], now_ms, 0x7FFFFFFF, ms);
    for (; timed && ms >= end_ms; end_ms += kEpochMs) {
      take(builder.finish(end_ms));
    }
    now_ms = static_cast<std::uint32_t>(ms);
    if (!timed || !feed(fields, now_ms, builder)) {
      error = path;
      error.append(", line ").append(std::to_string(number));
      error.append(": needs ms (not less than before), sensor, signal, not '").append(line);
      error.append("'");
      return false;
    }
  }
  take(builder.finish(end_ms));
  return true;
}

}  // namespace noctis::host
