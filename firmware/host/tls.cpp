#include "tls.hpp"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cctype>

namespace noctis::host {
namespace {

Tls* self(SSL_CTX* context) { return static_cast<Tls*>(SSL_CTX_get_app_data(context)); }

// What became of the server's certificate.
int verified(int is_good, X509_STORE_CTX* store) {
  if (is_good == 0) {
    auto* const ssl = static_cast<SSL*>(
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    self(SSL_get_SSL_CTX(ssl))
        ->refuse(std::string("the broker's certificate is refused: ") +
                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
  }
  return is_good;
}

void informed(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT &&
      (value & 0xff) != SSL_AD_CLOSE_NOTIFY) {
    self(SSL_get_SSL_CTX(ssl))
        ->refuse(std::string("the broker refuses the connection: ") +
                 SSL_alert_desc_string_long(value));
  }
}

const unsigned char* data_of(const std::string& bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::string last_error() {
  char text[160] = "";
  ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
  ERR_clear_error();
  return text;
}

std::string serial_of(SSL_CTX* context) {
  const X509* const certificate = SSL_CTX_get0_certificate(context);
  BIGNUM* const number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr);
  char* const digits = BN_bn2hex(number);
  std::string serial(digits);
  OPENSSL_free(digits);
  BN_free(number);
  serial.erase(0, std::min(serial.find_first_not_of('0'), serial.size() - 1));
  std::transform(serial.begin(), serial.end(), serial.begin(),
                 [](unsigned char digit) { return static_cast<char>(std::tolower(digit)); });
  return serial;
}

}  // namespace

void forget_tls_errors() { ERR_clear_error(); }

std::unique_ptr<Tls> Tls::open(const TlsFiles& files, std::string& error) {
  std::unique_ptr<Tls> tls(new Tls());
  return tls->begin(error) && tls->load(files, error) ? std::move(tls) : nullptr;
}

std::unique_ptr<Tls> Tls::open(const TlsBytes& bytes, std::string& error) {
  std::unique_ptr<Tls> tls(new Tls());
  if (!tls->begin(error)) {
    return nullptr;
  }
  if (!tls->load(bytes)) {
    error = "what the device was claimed with is no CA, certificate and key: " + last_error();
    return nullptr;
  }
  return tls;
}

Tls::~Tls() { SSL_CTX_free(context_); }

bool Tls::begin(std::string& error) {
  ERR_clear_error();
  context_ = SSL_CTX_new(TLS_client_method());
  if (context_ == nullptr) {
    error = "TLS cannot be set up: " + last_error();
    return false;
  }
  SSL_CTX_set_app_data(context_, this);
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context_, TLS1_2_VERSION);
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, verified);
  SSL_CTX_set_info_callback(context_, informed);
  return true;
}

bool Tls::load(const TlsBytes& bytes) {
  const auto* at = data_of(bytes.ca);
  X509* const ca = d2i_X509(nullptr, &at, static_cast<long>(bytes.ca.size()));
  const bool trusted =
      ca != nullptr && X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), ca) == 1;
  X509_free(ca);
  if (!trusted || bytes.certificate.empty()) {
    return trusted;
  }
  const auto* key_at = data_of(bytes.key);
  EVP_PKEY* const key =
      d2i_AutoPrivateKey(nullptr, &key_at, static_cast<long>(bytes.key.size()));
  const bool own =
      key != nullptr &&
      SSL_CTX_use_certificate_ASN1(context_, static_cast<int>(bytes.certificate.size()),
                                   data_of(bytes.certificate)) == 1 &&
      SSL_CTX_use_PrivateKey(context_, key) == 1;
  EVP_PKEY_free(key);
  if (own) {
    serial_ = serial_of(context_);
  }
  return own;
}

bool Tls::load(const TlsFiles& files, std::string& error) {
  if (SSL_CTX_load_verify_locations(context_, files.ca.c_str(), nullptr) != 1) {
    error = "--tls-ca " + files.ca + " holds no CA's certificate in PEM: " + last_error();
    return false;
  }
  return files.certificate.empty() || load_own(files, error);
}

bool Tls::load_own(const TlsFiles& files, std::string& error) {
  if (SSL_CTX_use_certificate_chain_file(context_, files.certificate.c_str()) != 1) {
    error = "--tls-certificate " + files.certificate +
            " holds no certificate in PEM: " + last_error();
    return false;
  }
  if (SSL_CTX_use_PrivateKey_file(context_, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context_) != 1) {
    error = "--tls-key " + files.key + " holds no key in PEM, or not that of " +
            files.certificate + ": " + last_error();
    return false;
  }
  serial_ = serial_of(context_);
  return true;
}

ssl_ctx_st* Tls::context_for(const std::string& host) {
  X509_VERIFY_PARAM* const wanted = SSL_CTX_get0_param(context_);
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) != 1) {
    ERR_clear_error();
    X509_VERIFY_PARAM_set1_ip(wanted, nullptr, 0);
    X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size());
  } else {
    X509_VERIFY_PARAM_set1_host(wanted, nullptr, 0);
  }
  refusal_.clear();
  return context_;
}

void Tls::refuse(const std::string& why) {
  if (refusal_.empty()) {
    refusal_ = why;
  }
}

}  // namespace noctis::host
