// Any bytes as an acknowledgement.
#include <algorithm>
#include <vector>

#include "expect.hpp"
#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"
#include "noctis/frame.hpp"

namespace {

void check_ack(const std::uint8_t* data, std::size_t size) {
  const auto ack = noctis::Ack::parse(data, size);
  if (!ack) {
    return;
  }
  noctis::fuzz::expect(size == 14 + 6 * ack->ranges(), "an acknowledgement fills its bytes");
  std::uint64_t sum = ack->stream();
  for (std::size_t i = 0; i < ack->ranges(); ++i) {
    const noctis::AckRange range = ack->range(i);
    sum += range.first + range.count + range.code;
  }
  volatile std::uint64_t kept = sum;  // so that every byte is read
  static_cast<void>(kept);
}

}  // namespace

// An input is tried as it is, and once more with a good checksum at its end.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_ack(data, size);
  if (size < 4) {
    return 0;
  }
  std::vector<std::uint8_t> good(data, data + size);
  noctis::put_u32(good.data() + size - 4, noctis::crc32(good.data(), size - 4));
  check_ack(good.data(), size);
  return 0;
}
