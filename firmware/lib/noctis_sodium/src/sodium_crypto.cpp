#include "sodium_crypto.hpp"

namespace noctis {

bool SodiumCrypto::verify(const Signature& signature, const std::uint8_t* message,
                          std::size_t size, const PublicKey& key) {
  static_assert(Signature{}.size() == crypto_sign_BYTES);
  static_assert(PublicKey{}.size() == crypto_sign_PUBLICKEYBYTES);
  return sodium_init() >= 0 &&
         crypto_sign_verify_detached(signature.data(), message, size, key.data()) == 0;
}

void SodiumCrypto::hash_begin() { crypto_hash_sha256_init(&hash_); }

void SodiumCrypto::hash_add(const std::uint8_t* data, std::size_t size) {
  crypto_hash_sha256_update(&hash_, data, size);
}

Sha256 SodiumCrypto::hash_end() {
  static_assert(Sha256{}.size() == crypto_hash_sha256_BYTES);
  Sha256 hash{};
  crypto_hash_sha256_final(&hash_, hash.data());
  return hash;
}

}  // namespace noctis
