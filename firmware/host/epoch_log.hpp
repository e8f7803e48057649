// The log of every epoch a device made, as JSON lines: the ground truth of every fault test.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "noctis/spool.hpp"

namespace noctis::host {

class EpochLog {
 public:
  EpochLog() = default;
  EpochLog(const EpochLog&) = delete;
  EpochLog& operator=(const EpochLog&) = delete;
  ~EpochLog();

  // Opens the file for appending and finds what of this device is in it already.
  bool open(const std::string& path, std::string tenant, std::string device,
            std::string& error);
  // Appends one line in one write: an epoch, the true time at which it began and that of its
  // live publish (unix seconds). False if the disk refuses: nothing was appended.
  bool append(const EpochRecord& record, std::optional<double> began_at,
              std::optional<double> published_at);
  // Appends what is in the spool and not in the log. False if the disk refuses.
  bool reconcile(Spool& spool);

 private:
  bool read_lines(const std::string& path);
  void take_line(const std::string& line);

  int file_ = -1;
  std::string tenant_;
  std::string device_;
  std::map<std::uint64_t, std::uint32_t> last_;  // by stream: the newest seq in the log
};

}  // namespace noctis::host
