// The core's cryptography by libsodium: in Debian, in Homebrew, and in Arduino's build of the
// IDF (2.0.17; from 3.0.2 on).
#pragma once

#include <sodium.h>

#include "noctis/crypto.hpp"

namespace noctis {

class SodiumCrypto : public Crypto {
 public:
  bool verify(const Signature& signature, const std::uint8_t* message, std::size_t size,
              const PublicKey& key) override;
  void hash_begin() override;
  void hash_add(const std::uint8_t* data, std::size_t size) override;
  Sha256 hash_end() override;

 private:
  crypto_hash_sha256_state hash_{};
};

}  // namespace noctis
