// DNS of the portal: whatever name is asked for, it is this device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace noctis {

using Ipv4 = std::array<std::uint8_t, 4>;

inline constexpr std::size_t kMostDnsAnswer = 12 + 255 + 4 + 16;

// Writes the answer and returns its size; 0: what came gets none. A question for an address
// (A, IN) is answered with `address`, any other one with no record, so that clients ask for A;
// what is no single question is refused. RFC 1035.
std::size_t answer_dns(const std::uint8_t* query, std::size_t size, const Ipv4& address,
                       std::array<std::uint8_t, kMostDnsAnswer>& answer);

}  // namespace noctis
