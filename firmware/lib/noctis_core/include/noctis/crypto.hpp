// What an update needs of cryptography. libsodium does it on every machine so far.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace noctis {

using Sha256 = std::array<std::uint8_t, 32>;
using PublicKey = std::array<std::uint8_t, 32>;  // Ed25519
using Signature = std::array<std::uint8_t, 64>;

class Crypto {
 public:
  Crypto() = default;
  Crypto(const Crypto&) = delete;
  Crypto& operator=(const Crypto&) = delete;
  virtual ~Crypto() = default;

  // Whether the key's owner signed exactly these bytes (Ed25519, RFC 8032).
  virtual bool verify(const Signature& signature, const std::uint8_t* message, std::size_t size,
                      const PublicKey& key) = 0;

  // One SHA-256 at a time.
  virtual void hash_begin() = 0;
  virtual void hash_add(const std::uint8_t* data, std::size_t size) = 0;
  virtual Sha256 hash_end() = 0;
};

}  // namespace noctis
