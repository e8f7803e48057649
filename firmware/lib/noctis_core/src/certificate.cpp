// As much of DER as leads to a certificate's serial number.
#include <algorithm>

#include "noctis/identity.hpp"

namespace noctis {
namespace {

constexpr std::uint8_t kInteger = 0x02;
constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kVersion = 0xA0;  // of the certificate, [0]; left out in the first one
constexpr std::uint8_t kLong = 0x80;     // so many bytes of size follow

// Takes a field of that kind from the front; its content, or nothing.
std::optional<ByteView> take(ByteView& from, std::uint8_t kind) {
  if (from.size < 2 || from.data[0] != kind) {
    return std::nullopt;
  }
  std::size_t head = 2;
  std::size_t size = from.data[1];
  if (size >= kLong) {
    const std::size_t bytes = size - kLong;
    if (bytes == 0 || bytes > 2 || from.size < head + bytes) {
      return std::nullopt;
    }
    size = 0;
    for (; head < 2 + bytes; ++head) {
      size = size << 8U | from.data[head];
    }
  }
  if (size > from.size - head) {
    return std::nullopt;
  }
  const ByteView content{from.data + head, size};
  from = {content.data + size, from.size - head - size};
  return content;
}

std::optional<ByteView> serial_bytes(ByteView certificate) {
  auto outer = take(certificate, kSequence);
  auto inner = outer ? take(*outer, kSequence) : std::nullopt;
  if (!inner) {
    return std::nullopt;
  }
  take(*inner, kVersion);
  return take(*inner, kInteger);
}

}  // namespace

std::array<char, kMostSerial + 1> serial_of(const ByteView& certificate) {
  constexpr std::array<char, 17> kDigits{"0123456789abcdef"};
  std::array<char, kMostSerial + 1> text{};
  auto bytes = serial_bytes(certificate);
  if (bytes && bytes->size > 0 && bytes->data[0] == 0) {
    *bytes = {bytes->data + 1, bytes->size - 1};  // of a number whose first bit is set
  }
  if (!bytes || 2 * bytes->size > kMostSerial) {
    return text;
  }
  char* to = text.data();
  for (std::size_t i = 0; i < bytes->size; ++i) {
    const std::uint8_t byte = bytes->data[i];
    if (i > 0 || byte >> 4U != 0) {
      *to++ = kDigits[byte >> 4U];
    }
    *to++ = kDigits[byte & 0xFU];
  }
  return text;
}

}  // namespace noctis
