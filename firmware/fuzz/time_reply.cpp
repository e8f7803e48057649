// Any bytes as a reply of the time.
#include <vector>

#include "expect.hpp"
#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"
#include "noctis/time_exchange.hpp"

namespace {

void check_reply(const std::uint8_t* data, std::size_t size) {
  const auto reply = noctis::parse_time_reply(data, size);
  if (!reply) {
    return;
  }
  noctis::fuzz::expect(size == noctis::kTimeReplySize, "a reply has its size");
  noctis::fuzz::expect(reply->sent == noctis::get_u64(data + 4), "it says what was sent");
  noctis::fuzz::expect(reply->utc_ms == noctis::get_u64(data + 12), "it says the time");
}

}  // namespace

// An input is tried as it is, and once more with a good checksum at its end.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_reply(data, size);
  if (size >= 4) {
    std::vector<std::uint8_t> good(data, data + size);
    noctis::put_u32(good.data() + size - 4, noctis::crc32(good.data(), size - 4));
    check_reply(good.data(), size);
  }
  return 0;
}
