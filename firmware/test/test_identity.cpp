#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <vector>

#include "identity_bytes.hpp"
#include "noctis/identity.hpp"
#include "noctis/topics.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

std::optional<Identity> read(const Written& bytes) {
  return read_identity(bytes.data(), bytes.size());
}

std::optional<Identity> read(const IdentityFields& fields) {
  // Views of what is gone by then are not looked at.
  const Written bytes = written(fields);
  return read(bytes);
}

IdentityFields certified() {
  IdentityFields fields;
  fields.password.clear();
  fields.ca = std::string(400, 'A');
  fields.certificate = std::string(500, 'C');
  fields.key = std::string(138, 'K');
  return fields;
}

std::optional<WifiSettings> wifi(const std::string& bytes) {
  return read_wifi(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

std::string sized(const std::string& value) {
  return std::string(1, static_cast<char>(value.size())) + value;
}

// A certificate with that serial, in hexadecimal, as OpenSSL makes it.
std::vector<std::uint8_t> certificate_of(const std::string& serial) {
  const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pair(EVP_EC_gen("P-256"),
                                                                 EVP_PKEY_free);
  BIGNUM* number = nullptr;
  REQUIRE(BN_hex2bn(&number, serial.c_str()) > 0);
  X509_set_version(made.get(), 2);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made.get()));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 1000);
  X509_set_pubkey(made.get(), pair.get());
  REQUIRE(X509_sign(made.get(), pair.get(), EVP_sha256()) > 0);
  std::vector<std::uint8_t> der(static_cast<std::size_t>(i2d_X509(made.get(), nullptr)));
  std::uint8_t* to = der.data();
  i2d_X509(made.get(), &to);
  return der;
}

std::string serial_in(const std::vector<std::uint8_t>& bytes) {
  return serial_of({bytes.data(), bytes.size()}).data();
}

}  // namespace

TEST_CASE(
    "an identity says who the device is, where its platform is and how it proves itself") {
  const Written bytes = written(certified());
  const auto identity = read(bytes);
  REQUIRE(identity);
  CHECK(identity->tenant == "home");
  CHECK(identity->device == "bed-1");
  CHECK(identity->host == "192.168.1.10");
  CHECK(identity->port == 8883);
  CHECK(identity->password.empty());
  CHECK(identity->ca.size == 400);
  CHECK(identity->certificate.data[499] == 'C');
  CHECK(identity->key.size == 138);

  CHECK(identity->update_keys.size == 0);

  const Written with_password = written({});
  CHECK(read(with_password)->password == "a password");
  CHECK(read(with_password)->ca.size == 0);
}

TEST_CASE("an identity with any byte wrong, or cut anywhere, is none") {
  const Written bytes = written(certified());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Written wrong = bytes;
    wrong[i] ^= 0x04;
    CHECK_FALSE(read(wrong));
    CHECK_FALSE(read_identity(bytes.data(), i));
  }
}

TEST_CASE("names, hosts, ports and credentials that make no sense are refused") {
  CHECK(read(IdentityFields{}));
  const auto refused = [](auto change) {
    IdentityFields fields = certified();
    change(fields);
    return !read(fields);
  };
  CHECK(refused([](IdentityFields& f) { f.tenant = "Home"; }));
  CHECK(refused([](IdentityFields& f) { f.tenant = ""; }));
  CHECK(refused([](IdentityFields& f) { f.device = std::string(33, 'a'); }));
  CHECK(refused([](IdentityFields& f) { f.device = "bed/1"; }));
  CHECK(refused([](IdentityFields& f) { f.host = "broker/path"; }));
  CHECK(refused([](IdentityFields& f) { f.host = "user@broker"; }));
  CHECK(refused([](IdentityFields& f) { f.host = std::string(65, 'a'); }));
  CHECK(refused([](IdentityFields& f) { f.port = std::string(2, '\0'); }));
  CHECK(refused([](IdentityFields& f) { f.port = "1"; }));
  CHECK(refused([](IdentityFields& f) { f.port.clear(); }));
  CHECK(refused([](IdentityFields& f) { f.key.clear(); }));
  CHECK(refused([](IdentityFields& f) { f.certificate.clear(); }));
  CHECK(refused([](IdentityFields& f) { f.ca.clear(); }));
  CHECK(refused([](IdentityFields& f) { f.password = "also one"; }));
  CHECK(refused([](IdentityFields& f) { f.ca = std::string(3000, 'A'); }));
  CHECK(refused([](IdentityFields& f) { f.update_keys = std::string(31, 'u'); }));
  CHECK(refused([](IdentityFields& f) { f.update_keys = std::string(96, 'u'); }));
  IdentityFields nothing;
  nothing.password.clear();
  CHECK_FALSE(read(nothing));
  nothing.password = "a\nb";
  CHECK_FALSE(read(nothing));
}

TEST_CASE("fields out of order, twice or of an unknown tag are refused") {
  Written bytes{'N', 'I', 1};
  put_field(bytes, 1, "home");
  put_field(bytes, 2, "bed");
  put_field(bytes, 3, "broker");
  put_field(bytes, 4, "\xB3\x22");
  put_field(bytes, 5, "password");
  CHECK(read(sealed(bytes)));
  Written unknown = bytes;
  put_field(unknown, 10, "x");
  CHECK_FALSE(read(sealed(unknown)));
  Written twice = bytes;
  put_field(twice, 5, "password");
  CHECK_FALSE(read(sealed(twice)));
  Written overlong = bytes;
  overlong[4] = 0xFF;  // the size of the first field
  CHECK_FALSE(read(sealed(overlong)));
}

TEST_CASE("the owner of a spool is the CRC-32 of tenant/device") {
  const std::string id = "home/bed-1";
  CHECK(owner_of("home", "bed-1") ==
        crc32(reinterpret_cast<const std::uint8_t*>(id.data()), id.size()));
}

TEST_CASE("topics are named as the protocol says, and only this device's come down") {
  const Topics topics("t1", "d1");
  CHECK(std::string(topics.id()) == "t1/d1");
  const std::string shard = std::to_string(owner_of("t1", "d1") % 64);
  CHECK(std::string(topics.up(Channel::epochs).data()) ==
        "noctis/v1/up/" + shard + "/t1/d1/epochs");
  CHECK(std::string(topics.filter()) == "noctis/v1/down/t1/d1/+");
  CHECK(topics.down("noctis/v1/down/t1/d1/ack") == DownChannel::ack);
  CHECK(topics.down("noctis/v1/down/t1/d1/command") == DownChannel::command);
  CHECK_FALSE(topics.down("noctis/v1/down/t1/d2/ack"));
  CHECK_FALSE(topics.down("noctis/v1/down/t1/d1/"));
  CHECK_FALSE(topics.down("noctis/v1/down/t1/d1/ack/more"));
  const std::string longest(32, 'x');
  CHECK(Topics(longest, longest).down("noctis/v1/down/" + longest + "/" + longest + "/time") ==
        DownChannel::time);
}

TEST_CASE("a network has a name, and no password or one that WPA takes") {
  const auto read_back = wifi(sized("Home Net") + sized("a password"));
  REQUIRE(read_back);
  CHECK(wifi(sized("Open") + sized("")));
  CHECK(wifi(sized(std::string(32, 'n')) + sized(std::string(64, 'a'))));
  CHECK_FALSE(wifi(sized("") + sized("a password")));
  CHECK_FALSE(wifi(sized(std::string(33, 'n')) + sized("a password")));
  CHECK_FALSE(wifi(sized("Home") + sized("short")));
  CHECK_FALSE(wifi(sized("Home") + sized(std::string(65, 'a'))));
  CHECK_FALSE(wifi(sized("Home") + sized("a password") + "x"));
  CHECK_FALSE(wifi(sized(std::string("Ho\0me", 5)) + sized("a password")));
  CHECK_FALSE(wifi("\x04Hom"));
  CHECK_FALSE(wifi(""));
}

TEST_CASE("a certificate tells its serial, as the platform writes it") {
  const std::string longest = "7fa6b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4";
  for (const std::string& serial : {std::string("1"), std::string("80"), std::string("f00d"),
                                    std::string("a1b"), longest}) {
    CHECK(serial_in(certificate_of(serial)) == serial);
  }
}

TEST_CASE("what is no whole certificate has no serial, or its own") {
  const auto certificate = certificate_of("5eed");
  for (std::size_t size = 0; size < certificate.size(); ++size) {
    const std::vector<std::uint8_t> part(certificate.begin(),
                                         certificate.begin() + static_cast<long>(size));
    CHECK(serial_in(part).empty());
  }
  for (std::size_t at = 0; at < 40; ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      auto changed = certificate;
      changed[at] = static_cast<std::uint8_t>(value);
      CHECK(serial_in(changed).size() <= kMostSerial);
    }
  }
  CHECK(serial_in(certificate_of("1" + std::string(40, '0'))).empty());  // too long
  CHECK(serial_in({}).empty());
}
