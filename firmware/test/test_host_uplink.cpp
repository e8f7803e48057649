#include <doctest/doctest.h>
#include <openssl/bio.h>
#include <openssl/err.h>

#include "mosquitto_uplink.hpp"

using namespace noctis::host;

namespace {

void fail_elsewhere() {
  REQUIRE(BIO_new_file("/nowhere/at/all", "r") == nullptr);
  REQUIRE(ERR_peek_error() != 0);
}

}  // namespace

TEST_CASE("an error that TLS left behind elsewhere is not taken for the broker's") {
  MosquittoUplink::Settings settings{};
  settings.host = "127.0.0.1";
  settings.port = 1;
  settings.connect_after_s = 1000;  // never, here
  MosquittoUplink uplink(settings, {});
  fail_elsewhere();
  SUBCASE("where it reads") { uplink.readable(); }
  SUBCASE("where it writes") { uplink.writable(); }
  SUBCASE("where it looks after the connection") { uplink.service(1); }
  CHECK(ERR_peek_error() == 0);
}
