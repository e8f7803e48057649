// A NOR chip in a file, 8 MiB. The file holds the complement of the chip's bits, so that what
// is erased is a hole: a chip that holds little takes little disk.
#pragma once

#include <bitset>
#include <memory>
#include <string>

#include "noctis/flash.hpp"
#include "noctis/spool.hpp"

namespace noctis::host {

class NorFile : public Flash {
 public:
  // Opens or makes the file and locks it. On failure `error` says why and what to do.
  static std::unique_ptr<NorFile> open(const std::string& path, std::string& error);
  ~NorFile() override;

  std::uint32_t sectors() const override { return Spool::kMaxSectors; }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override;
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override;
  bool erase(std::uint32_t sector) override;

  // Tag of this very chip: a copy of the file is another chip.
  std::uint32_t chip_tag() const;

 private:
  explicit NorFile(int file) : file_(file) {}
  bool prepare(const std::string& path, std::string& error);
  void find_holes();

  int file_;
  std::bitset<Spool::kMaxSectors> written_;  // sectors that are no hole
};

}  // namespace noctis::host
