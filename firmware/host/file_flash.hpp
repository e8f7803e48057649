// A file as a flash: its bytes are the flash's, so that an image in it can be run. Behind the
// end of the file all is erased.
#pragma once

#include <memory>
#include <string>

#include "noctis/flash.hpp"

namespace noctis::host {

class FileFlash : public Flash {
 public:
  static std::unique_ptr<FileFlash> open(const std::string& path, std::uint32_t sectors,
                                         std::string& error);
  ~FileFlash() override;

  std::uint32_t sectors() const override { return sectors_; }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override;
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override;
  bool erase(std::uint32_t sector) override;

 private:
  FileFlash(int file, std::uint32_t sectors) : file_(file), sectors_(sectors) {}

  int file_;
  std::uint32_t sectors_;
};

}  // namespace noctis::host
