// The NOR chip under the spool.
#pragma once

#include <cstddef>
#include <cstdint>

namespace noctis {

class Flash {
 public:
  static constexpr std::uint32_t kSectorSize = 4096;
  static constexpr std::uint32_t kPageSize = 256;

  Flash() = default;
  Flash(const Flash&) = delete;
  Flash& operator=(const Flash&) = delete;
  virtual ~Flash() = default;

  virtual std::uint32_t sectors() const = 0;
  virtual void read(std::uint32_t address, std::uint8_t* to, std::size_t size) = 0;
  // Both return false where the chip did not begin: nothing changed, it may be asked again.
  // Clears the bits that are 0 in `from`; never asked to cross a page.
  virtual bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) = 0;
  // Sets a sector to 0xFF.
  virtual bool erase(std::uint32_t sector) = 0;
};

}  // namespace noctis
