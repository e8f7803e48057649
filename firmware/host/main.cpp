// noctis-device: one virtual device, or a fleet of them.
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "boot.hpp"
#include "boxed_device.hpp"
#include "capacity.hpp"
#include "csv.hpp"
#include "fill.hpp"
#include "fleet.hpp"
#include "night.hpp"
#include "options.hpp"
#include "signals.hpp"

namespace {

constexpr int kBadUsage = 2;

int complain(const std::string& message) {
  std::fprintf(stderr, "noctis-device: %s\n", message.c_str());
  return kBadUsage;
}

volatile std::sig_atomic_t stop = 0;

template <typename Player>
int run(const noctis::host::Options& options) {
  Player player(options);
  std::string error;
  if (!player.open(error)) {
    return complain(error);
  }
  if (!player.run(&stop, error)) {
    complain(error);
    return 1;
  }
  return player.boot_due() ? noctis::host::kBootAgain : 0;
}

int play(const noctis::host::Options& options) {
  std::signal(SIGTERM, [](int) { stop = 1; });
  std::signal(SIGINT, [](int) { stop = 1; });
  std::signal(SIGPIPE, SIG_IGN);
  if (!options.box.store.empty()) {
    return run<noctis::host::BoxedDevice>(options);
  }
  return run<noctis::host::Fleet>(options);
}

// Prints the table that was asked for.
int print(const noctis::host::Options& options) {
  using namespace noctis::host;
  std::string error;
  if (!options.signals_file.empty()) {
    const int result = print_csv_of_signals(options.signals_file, stdout, error);
    return error.empty() ? result : complain(error);
  }
  const auto night = options.night.empty()
                         ? std::optional(make_up_night(options.seed, options.hours))
                         : load_night(options.night, error);
  if (!night) {
    return complain(error);
  }
  return options.csv ? print_csv(*night, options.sensors, stdout)
                     : print_signals(*night, options.sensors, stdout);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace noctis::host;
  if (argc > 1 && std::string_view(argv[1]) == "capacity") {
    return capacity_command(argc - 2, argv + 2);
  }
  if (argc > 1 && std::string_view(argv[1]) == "fill") {
    return fill_command(argc - 2, argv + 2);
  }
  std::string error;
  const auto options = parse_options(argc, argv, error);
  if (!options) {
    return complain(error);
  }
  if (options->help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (options->csv || options->signals) {
    return print(*options);
  }
  return play(*options);
}
