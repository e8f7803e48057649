#include "nor_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::host {
namespace {

constexpr off_t kSize = off_t{Spool::kMaxSectors} * Flash::kSectorSize;

void complement(std::uint8_t* bytes, std::size_t size) {
  std::transform(bytes, bytes + size, bytes,
                 [](std::uint8_t byte) { return static_cast<std::uint8_t>(~byte); });
}

}  // namespace

std::unique_ptr<NorFile> NorFile::open(const std::string& path, std::string& error) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    error = "cannot open the flash chip " + path + ": " + std::strerror(errno);
    return nullptr;
  }
  std::unique_ptr<NorFile> nor(new NorFile(file));
  return nor->prepare(path, error) ? std::move(nor) : nullptr;
}

NorFile::~NorFile() { ::close(file_); }

bool NorFile::prepare(const std::string& path, std::string& error) {
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    error = "the flash chip " + path +
            " is in use by another process: give each device a --nor of its own";
    return false;
  }
  struct stat status{};
  if (::fstat(file_, &status) != 0 || (status.st_size != 0 && status.st_size != kSize)) {
    error = path + " is no flash chip: it has " + std::to_string(status.st_size) +
            " bytes, not " + std::to_string(kSize) + "; name another file";
    return false;
  }
  if (status.st_size == 0 && ::ftruncate(file_, kSize) != 0) {
    error = "cannot make the flash chip " + path + ": " + std::strerror(errno);
    return false;
  }
  find_holes();
  return true;
}

void NorFile::find_holes() {
#ifdef SEEK_DATA
  off_t at = 0;
  while ((at = ::lseek(file_, at, SEEK_DATA)) >= 0) {
    off_t end = ::lseek(file_, at, SEEK_HOLE);
    end = end < 0 ? kSize : end;
    for (off_t sector = at / kSectorSize; sector * kSectorSize < end; ++sector) {
      written_.set(static_cast<std::size_t>(sector));
    }
    at = end;
  }
#else
  written_.set();
#endif
}

void NorFile::read(std::uint32_t address, std::uint8_t* to, std::size_t size) {
  if (written_.test(address / kSectorSize) &&
      ::pread(file_, to, size, address) == static_cast<ssize_t>(size)) {
    complement(to, size);
  } else {
    std::fill_n(to, size, std::uint8_t{0xFF});
  }
}

bool NorFile::program(std::uint32_t address, const std::uint8_t* from, std::size_t size) {
  std::array<std::uint8_t, kPageSize> bytes{};
  read(address, bytes.data(), size);
  std::transform(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), from,
                 bytes.begin(),
                 [](std::uint8_t old, std::uint8_t mask) { return std::uint8_t(old & mask); });
  complement(bytes.data(), size);
  written_.set(address / kSectorSize);
  return ::pwrite(file_, bytes.data(), size, address) == static_cast<ssize_t>(size);
}

bool NorFile::erase(std::uint32_t sector) {
  if (!written_.test(sector)) {
    return true;
  }
  const off_t at = off_t{sector} * kSectorSize;
#ifdef FALLOC_FL_PUNCH_HOLE
  if (::fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, kSectorSize) == 0) {
    written_.reset(sector);
    return true;
  }
#endif
  const std::array<std::uint8_t, kSectorSize> zeros{};
  return ::pwrite(file_, zeros.data(), zeros.size(), at) == static_cast<ssize_t>(zeros.size());
}

std::uint32_t NorFile::chip_tag() const {
  struct stat status{};
  ::fstat(file_, &status);
  std::array<std::uint8_t, 8> inode{};
  put_u64(inode.data(), static_cast<std::uint64_t>(status.st_ino));
  return crc32(inode.data(), inode.size());
}

}  // namespace noctis::host
