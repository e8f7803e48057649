#include "fill.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <map>
#include <string_view>

#include "capacity.hpp"
#include "nor_file.hpp"
#include "spool_identity.hpp"

namespace noctis::host {
namespace {

constexpr std::uint32_t kEpochSeconds = kEpochMs / 1000;
constexpr int kBadUsage = 2;

bool to_number(const std::string& text, std::uint32_t& number) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  number = static_cast<std::uint32_t>(value);
  return !text.empty() && text.front() != '-' && *end == '\0' && value > 0 &&
         value <= std::numeric_limits<std::uint32_t>::max();
}

int complain(const std::string& message) {
  std::fprintf(stderr, "noctis-device fill: %s\n", message.c_str());
  return kBadUsage;
}

}  // namespace

bool fill(const Fill& wanted, std::string& error) {
  const auto chip = NorFile::open(wanted.nor, error);
  if (!chip) {
    return false;
  }
  Spool spool(*chip, spool_identity(wanted.tenant, wanted.device, chip->chip_tag()));
  if (spool.mount() != Spool::Mount::fresh) {
    error = wanted.nor + " is in use already: name a file that is not there";
    return false;
  }
  const std::uint32_t begin_s = wanted.end_s - kEpochSeconds * wanted.epochs;
  for (std::uint32_t number = 0; number < wanted.epochs; ++number) {
    const std::uint32_t tick_s = kEpochSeconds * number;
    if (!spool.append(made_up_epoch(number), {tick_s, begin_s + tick_s, std::nullopt})) {
      error = wanted.nor + " takes no more writes: is the disk full?";
      return false;
    }
  }
  return true;
}

int fill_command(int argc, const char* const* argv) {
  std::map<std::string_view, std::string> given;
  for (int i = 0; i + 1 < argc; i += 2) {
    given[argv[i]] = argv[i + 1];
  }
  Fill wanted{given["--tenant"], given["--device"], given["--nor"], 0, 0};
  wanted.end_s = static_cast<std::uint32_t>(std::time(nullptr));
  const bool dated = given.count("--end") != 0;
  const std::size_t named = dated ? 5 : 4;
  if (argc % 2 != 0 || !to_number(given["--epochs"], wanted.epochs) ||
      (dated && !to_number(given["--end"], wanted.end_s)) || given.size() != named ||
      wanted.tenant.empty() || wanted.device.empty() || wanted.nor.empty() ||
      std::uint64_t{wanted.epochs} * kEpochSeconds >= wanted.end_s) {
    return complain("it takes --tenant T --device D --nor FILE --epochs N [--end UNIX_S]");
  }
  std::string error;
  if (!fill(wanted, error)) {
    return complain(error);
  }
  return 0;
}

}  // namespace noctis::host
