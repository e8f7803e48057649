#include "boot.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "update_board.hpp"

namespace noctis::host {
namespace {

constexpr int kNotStarted = 126;
constexpr unsigned kResetUs = 300'000;  // a crash loop is not to eat the machine
constexpr unsigned kLookUs = 20'000;
constexpr unsigned kMostLooks = 500;  // at what ran before

bool install(const BootSettings& settings, std::string& error) {
  namespace fs = std::filesystem;
  const std::string first = slot_path(settings.slots, 0);
  std::error_code code;
  fs::create_directories(settings.slots, code);
  if (fs::exists(first, code)) {
    return true;
  }
  if (settings.image.empty()) {
    error = "no image in " + first + ": name one with --image FILE";
    return false;
  }
  // Whole or not at all.
  fs::copy_file(settings.image, first + ".new", fs::copy_options::overwrite_existing, code);
  if (!code) {
    fs::rename(first + ".new", first, code);
  }
  if (code || ::chmod(first.c_str(), 0755) != 0) {
    error = "cannot copy " + settings.image + " to " + first + ": " + code.message();
    return false;
  }
  return true;
}

// The folder is one board's alone. What it runs inherits the lock: a power cut is over, and the
// slots are nobody's, when the last of its processes is gone.
bool take_over(const BootSettings& settings, const volatile int* stop, std::string& error) {
  const std::string path = settings.slots + "/lock";
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT, 0644);
  for (unsigned i = 0; lock >= 0 && i < kMostLooks && *stop == 0; ++i) {
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) {
      return true;
    }
    ::usleep(kLookUs);
  }
  if (lock < 0) {
    error = "cannot write " + path + ": " + std::strerror(errno);
  } else if (*stop == 0) {
    error = "another device runs on " + settings.slots + ": end it first";
  }
  return false;
}

std::optional<unsigned> choose(const std::string& folder, std::optional<unsigned> broken,
                               std::string& error) {
  const auto flash = FileFlash::open(ota_data_path(folder), OtaData::kSectors, error);
  if (!flash) {
    return std::nullopt;
  }
  OtaData ota_data(*flash);
  if (broken) {
    ota_data.could_not_start(*broken);
  }
  return ota_data.boot();
}

[[noreturn]] void become(const BootSettings& settings, unsigned slot, ResetReason reason,
                         pid_t board) {
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // the power of the board is its power
#endif
  if (::getppid() != board) {
    ::_exit(0);  // it went before that was said
  }
  ::setenv(kResetVariable, name_of(reason), 1);
  const std::string path = slot_path(settings.slots, slot);
  std::vector<std::string> texts{path};
  texts.insert(texts.end(), settings.arguments.begin(), settings.arguments.end());
  texts.insert(texts.end(), {"--slots", settings.slots, "--slot", std::to_string(slot)});
  std::vector<char*> arguments;
  arguments.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    arguments.push_back(text.data());
  }
  arguments.push_back(nullptr);
  ::execv(path.c_str(), arguments.data());
  std::fprintf(stderr, "noctis-boot: cannot run %s: %s\n", path.c_str(), std::strerror(errno));
  ::_exit(kNotStarted);
}

// How the child ended; tells it once when it is to stop.
int await(pid_t child, const volatile int* stop) {
  bool told = false;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (*stop != 0 && !told) {
      ::kill(child, SIGTERM);
      told = true;
    }
    ::usleep(kLookUs);
  }
  return status;
}

}  // namespace

ResetReason reset_reason() {
  const char* said = std::getenv(kResetVariable);
  const std::string_view word = said == nullptr ? "" : said;
  for (const ResetReason reason : {ResetReason::software, ResetReason::panic}) {
    if (word == name_of(reason)) {
      return reason;
    }
  }
  return ResetReason::power_on;
}

int boot_for_ever(const BootSettings& settings, const volatile int* stop, std::string& error) {
  if (!install(settings, error) || !take_over(settings, stop, error)) {
    return error.empty() ? 0 : 2;
  }
  const pid_t board = ::getpid();
  std::optional<unsigned> broken;
  ResetReason reason = ResetReason::power_on;
  while (*stop == 0) {
    const auto slot = choose(settings.slots, broken, error);
    if (!slot) {
      return 2;
    }
    const pid_t child = ::fork();
    if (child < 0) {
      error = std::string("cannot start a process: ") + std::strerror(errno);
      return 2;
    }
    if (child == 0) {
      become(settings, *slot, reason, board);
    }
    const int status = await(child, stop);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == 0) {
      return 0;
    }
    reason = code == kBootAgain ? ResetReason::software : ResetReason::panic;
    broken = code == kNotStarted ? slot : std::nullopt;
    if (code != kBootAgain && *stop == 0) {
      std::fprintf(stderr, "noctis-boot: the image in slot %u ended (%s %d): it boots again\n",
                   *slot, WIFSIGNALED(status) ? "signal" : "code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : code);
      ::usleep(kResetUs);
    }
  }
  return 0;
}

}  // namespace noctis::host
