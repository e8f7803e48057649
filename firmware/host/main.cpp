// noctis-device: one virtual device, or a fleet of them.
#include <cstdio>
#include <optional>
#include <string>

#include "csv.hpp"
#include "night.hpp"
#include "options.hpp"

namespace {

constexpr int kBadUsage = 2;

int complain(const std::string& message) {
  std::fprintf(stderr, "noctis-device: %s\n", message.c_str());
  return kBadUsage;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace noctis::host;
  std::string error;
  const auto options = parse_options(argc, argv, error);
  if (!options) {
    return complain(error);
  }
  if (options->help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (options->csv) {
    if (options->night.empty()) {
      return print_csv(make_up_night(options->seed, options->hours), stdout);
    }
    const auto night = load_night(options->night, error);
    return night ? print_csv(*night, stdout) : complain(error);
  }
  return complain("only --to csv works yet");
}
