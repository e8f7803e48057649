#include "noctis/dns.hpp"

#include <algorithm>

namespace noctis {
namespace {

constexpr std::size_t kHead = 12;
constexpr std::size_t kMostName = 255;
constexpr std::size_t kMostLabel = 63;
constexpr std::size_t kTypeAndClass = 4;
constexpr std::uint8_t kResponse = 0x80;
constexpr std::uint8_t kOpcode = 0x78;
constexpr std::uint8_t kAuthoritative = 0x04;
constexpr std::uint8_t kRecursionDesired = 0x01;
constexpr std::uint8_t kFormatError = 1;
constexpr std::uint8_t kNotImplemented = 4;
constexpr std::uint8_t kForSeconds = 10;  // of the portal's own time: no answer may outlive it

// The size of the question behind the head; 0: it is none. A name that is asked for is spelled
// out: there is nothing before it that it could point to.
std::size_t question_size(const std::uint8_t* query, std::size_t size) {
  std::size_t at = kHead;
  while (at < size && query[at] != 0) {
    if (query[at] > kMostLabel) {
      return 0;
    }
    at += std::size_t{1} + query[at];
  }
  const std::size_t end = at + 1 + kTypeAndClass;
  return end <= size && at + 1 - kHead <= kMostName ? end - kHead : 0;
}

}  // namespace

std::size_t answer_dns(const std::uint8_t* query, std::size_t size, const Ipv4& address,
                       std::array<std::uint8_t, kMostDnsAnswer>& answer) {
  if (size < kHead || (query[2] & kResponse) != 0) {
    return 0;
  }
  const bool single = query[4] == 0 && query[5] == 1;
  const std::size_t question = single ? question_size(query, size) : 0;
  answer.fill(0);
  answer[0] = query[0];
  answer[1] = query[1];
  answer[2] = static_cast<std::uint8_t>(kResponse | kAuthoritative |
                                        (query[2] & (kOpcode | kRecursionDesired)));
  if ((query[2] & kOpcode) != 0 || question == 0) {
    answer[3] = (query[2] & kOpcode) != 0 ? kNotImplemented : kFormatError;
    return kHead;
  }
  answer[5] = 1;
  std::copy_n(query + kHead, question, &answer[kHead]);
  const std::size_t end = kHead + question;
  const std::array<std::uint8_t, kTypeAndClass> wanted{0, 1, 0, 1};  // A, IN
  if (!std::equal(wanted.begin(), wanted.end(), &answer[end - kTypeAndClass])) {
    return end;
  }
  answer[7] = 1;
  const std::array<std::uint8_t, 16> record{
      0xC0, kHead,       0, 1, 0,          1,          0,          0,
      0,    kForSeconds, 0, 4, address[0], address[1], address[2], address[3]};
  std::copy(record.begin(), record.end(), &answer[end]);
  return end + record.size();
}

}  // namespace noctis
