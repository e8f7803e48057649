#include "epoch_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

namespace noctis::host {
namespace {

std::string unix_time(std::optional<double> seconds) {
  if (!seconds) {
    return "null";
  }
  char text[48];
  std::snprintf(text, sizeof text, "%.6f", *seconds);
  return text;
}

std::string hex(const Slot& slot) {
  std::string text;
  for (const std::uint8_t byte : slot) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 15U];
  }
  return text;
}

std::string hex(std::uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

// The text behind "key": in a line that this file wrote.
const char* field(const std::string& line, const char* key) {
  const std::size_t at = line.find(key);
  return at == std::string::npos ? nullptr : line.c_str() + at + std::strlen(key);
}

}  // namespace

EpochLog::~EpochLog() {
  if (file_ >= 0) {
    ::close(file_);
  }
}

void EpochLog::take_line(const std::string& line) {
  const std::string mine =
      R"({"tenant":")" + tenant_ + R"(","device":")" + device_ + R"(","stream":")";
  const char* seq = field(line, R"("seq":)");
  if (line.compare(0, mine.size(), mine) != 0 || line.back() != '}' || seq == nullptr) {
    return;
  }
  const std::uint64_t stream = std::strtoull(line.c_str() + mine.size(), nullptr, 16);
  last_[stream] = static_cast<std::uint32_t>(std::strtoul(seq, nullptr, 10));
}

// False if the last line has no end.
bool EpochLog::read_lines(const std::string& path) {
  struct stat status{};
  if (::fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) {
    return true;  // a pipe or a terminal: nothing to read there
  }
  std::ifstream lines(path);
  std::string line;
  bool whole = true;
  while (std::getline(lines, line)) {
    whole = !lines.eof();
    if (whole && !line.empty()) {
      take_line(line);
    }
  }
  return whole;
}

bool EpochLog::open(const std::string& path, std::string tenant, std::string device,
                    std::string& error) {
  tenant_ = std::move(tenant);
  device_ = std::move(device);
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) {
    error = "cannot open the log " + path + ": " + std::strerror(errno);
    return false;
  }
  const bool whole = read_lines(path);
  // A line that a crash of the machine cut short: leave it, begin a new one.
  if (!whole && ::write(file_, "\n", 1) != 1) {
    error = "cannot write the log " + path + ": " + std::strerror(errno);
    return false;
  }
  return true;
}

bool EpochLog::append(const EpochRecord& record, std::optional<double> began_at,
                      std::optional<double> published_at) {
  const Run run = decode_run(record.run);
  const std::uint32_t behind = 30 * (record.seq - record.run_seq - 1);
  const std::string line =
      R"({"tenant":")" + tenant_ + R"(","device":")" + device_ + R"(","stream":")" +
      hex(record.stream) + R"(","seq":)" + std::to_string(record.seq) + R"(,"boot":)" +
      std::to_string(run.boot_seq) + R"(,"ticks":)" + std::to_string(run.tick_s + behind) +
      R"(,"utc":)" + (run.utc_s == 0 ? "null" : std::to_string(run.utc_s + behind)) +
      R"(,"record_hex":")" + hex(record.slot) + R"(","published_at":)" +
      unix_time(published_at) + R"(,"began_at":)" + unix_time(began_at) + "}\n";
  const ssize_t written = ::write(file_, line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) {
    last_[record.stream] = record.seq;
    return true;
  }
  struct stat status{};
  if (written > 0 && ::fstat(file_, &status) == 0 &&
      ::ftruncate(file_, status.st_size - written) != 0) {
    return false;  // half a line stays; open() begins a new one behind it
  }
  return false;
}

bool EpochLog::reconcile(Spool& spool) {
  // What is older than the newest of this stream in the log was looked at before.
  const auto newest = last_.find(spool.stream());
  const std::uint32_t from = newest == last_.end() ? spool.first_seq() : newest->second + 1;
  SpoolReader reader(spool, from, spool.next_seq(), SpoolReader::Which::all);
  EpochRecord record{};
  while (reader.next(record)) {
    const auto last = last_.find(record.stream);
    if ((last == last_.end() || record.seq > last->second) &&
        !append(record, std::nullopt, std::nullopt)) {
      return false;
    }
  }
  return true;
}

}  // namespace noctis::host
