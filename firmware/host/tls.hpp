// TLS to the broker: whom the device trusts, how it proves who it is, and why it was refused.
#pragma once

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace noctis::host {

// OpenSSL keeps what went wrong by thread, not by connection: an error that another one has
// left behind would pass for the next one's own.
void forget_tls_errors();

// Files in PEM. Without `ca` there is no TLS; without `certificate` the device has a password.
struct TlsFiles {
  std::string ca;
  std::string certificate;
  std::string key;
};

// The same in DER, as a claim brought it.
struct TlsBytes {
  std::string ca;
  std::string certificate;
  std::string key;
};

// Speaks TLS 1.2, as an ESP32 does: there a server says why it refuses a certificate before
// the handshake ends, and no reset can overtake that.
class Tls {
 public:
  // Null and `error` set where a file is missing, damaged, or does not go with the others.
  static std::unique_ptr<Tls> open(const TlsFiles& files, std::string& error);
  static std::unique_ptr<Tls> open(const TlsBytes& bytes, std::string& error);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  // For one connection to `host`, a name or an IP address: the server's certificate must have
  // it, be of the CA, and be valid by the system's clock.
  ssl_ctx_st* context_for(const std::string& host);
  // Of the device's own certificate, hexadecimal; empty without one.
  const std::string& serial() const { return serial_; }
  // Why the last handshake failed, if TLS knows; empty otherwise.
  const std::string& refusal() const { return refusal_; }

  // For OpenSSL's callbacks.
  void refuse(const std::string& why);

 private:
  Tls() = default;
  bool begin(std::string& error);
  bool load(const TlsFiles& files, std::string& error);
  bool load(const TlsBytes& bytes);
  bool load_own(const TlsFiles& files, std::string& error);

  ssl_ctx_st* context_ = nullptr;
  std::string serial_;
  std::string refusal_;
};

}  // namespace noctis::host
