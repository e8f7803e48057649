#include "file_flash.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace noctis::host {

std::unique_ptr<FileFlash> FileFlash::open(const std::string& path, std::uint32_t sectors,
                                           std::string& error) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0755);
  if (file < 0) {
    error = "cannot open the flash " + path + ": " + std::strerror(errno);
    return nullptr;
  }
  return std::unique_ptr<FileFlash>(new FileFlash(file, sectors));
}

FileFlash::~FileFlash() { ::close(file_); }

void FileFlash::read(std::uint32_t address, std::uint8_t* to, std::size_t size) {
  const ssize_t count = ::pread(file_, to, size, address);
  const auto there = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  std::fill(to + there, to + size, std::uint8_t{0xFF});
}

bool FileFlash::program(std::uint32_t address, const std::uint8_t* from, std::size_t size) {
  std::array<std::uint8_t, kPageSize> bytes{};
  read(address, bytes.data(), size);
  std::transform(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), from,
                 bytes.begin(),
                 [](std::uint8_t old, std::uint8_t mask) { return std::uint8_t(old & mask); });
  return ::pwrite(file_, bytes.data(), size, address) == static_cast<ssize_t>(size);
}

bool FileFlash::erase(std::uint32_t sector) {
  struct stat status{};
  const off_t at = off_t{sector} * kSectorSize;
  if (sector >= sectors_ || ::fstat(file_, &status) != 0) {
    return false;
  }
  if (status.st_size <= at) {
    return true;
  }
  std::array<std::uint8_t, kSectorSize> blank{};
  blank.fill(0xFF);
  return ::pwrite(file_, blank.data(), blank.size(), at) == static_cast<ssize_t>(blank.size());
}

}  // namespace noctis::host
