#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "noctis/offer.hpp"
#include "update_world.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

std::optional<Offer> read(const std::string& text) {
  return read_offer(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

const std::string kFirst = Release::first_line(7, "0123456789abcdef", std::string(128, 'a'));
const std::string kManifest =
    R"({"target":"esp32s3","version":"1.2.0-rc.1","build":12,"least":3,"floor":2,"downgrade":1,)"
    R"("expires":1800000000,"size":1234567,"sha256":")" +
    std::string(62, '0') + "f1\"}";

std::string without(const std::string& text, const std::string& part,
                    const std::string& other = "") {
  const std::size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return std::string(text).replace(at, part.size(), other);
}

}  // namespace

TEST_CASE("an offer is read, and its manifest is every byte behind the first line") {
  const std::string text = kFirst + "\n" + kManifest;
  const auto offer = read(text);
  REQUIRE(offer);
  CHECK(offer->whole);
  CHECK(std::string(offer->rollout.begin(), offer->rollout.end()) == Release::rollout(7));
  CHECK(offer->url == "https://noctis.example/image");
  CHECK(std::string(offer->key.begin(), offer->key.end()) == "0123456789abcdef");
  CHECK(offer->signature[63] == 0xAA);
  CHECK(offer->manifest == kManifest);
  const std::string odd = kFirst + "\n" + kManifest + " \n";
  CHECK(read(odd)->manifest == kManifest + " \n");
}

TEST_CASE("what names no rollout is no offer, and what lacks the rest can be refused") {
  for (const std::string& text :
       {std::string(), std::string("\n"), kFirst, without(kFirst, "rollout", "roll") + "\n",
        without(kFirst, "00000000-", "0000000-") + "\n", kFirst + "x\n" + kManifest,
        kFirst + "\n" + std::string(kMostOffer, ' ')}) {
    CAPTURE(text);
    CHECK_FALSE(read(text));
  }
  for (const std::string& first :
       {without(kFirst, "aa\"", "a\""), without(kFirst, "aa\"", "aA\""),
        without(kFirst, "0123", "123"), without(kFirst, "\"key\"", "\"kid\""),
        without(kFirst, "https://noctis.example/image"),
        without(kFirst, "image", std::string(kMostUrl, 'i'))}) {
    CAPTURE(first);
    const auto offer = read(first + "\n" + kManifest);
    REQUIRE(offer);
    CHECK_FALSE(offer->whole);
  }
}

TEST_CASE("a manifest is read, and one that lacks a member or makes no sense is not") {
  const auto manifest = read_manifest(kManifest);
  REQUIRE(manifest);
  CHECK(manifest->target == "esp32s3");
  CHECK(manifest->version == "1.2.0-rc.1");
  CHECK(manifest->build == 12);
  CHECK(manifest->least == 3);
  CHECK(manifest->floor == 2);
  CHECK(manifest->downgrade);
  CHECK(manifest->expires_s == 1'800'000'000);
  CHECK(manifest->size == 1'234'567);
  CHECK(manifest->sha256[31] == 0xF1);
  for (const char* name : {"target", "version", "build", "least", "floor", "downgrade",
                           "expires", "size", "sha256"}) {
    CAPTURE(name);
    const std::string quoted = std::string("\"") + name + '"';
    CHECK_FALSE(read_manifest(without(kManifest, quoted, "\"later\"")));
    CHECK_FALSE(read_manifest(without(kManifest, "}", "," + quoted + ":1}")));
  }
  for (const auto& change :
       std::vector<std::pair<std::string, std::string>>{{"12,", "0,"},
                                                        {":12", ":-12"},
                                                        {":2,", ":13,"},
                                                        {"\"downgrade\":1", "\"downgrade\":2"},
                                                        {"1234567", "0"},
                                                        {"1234567", "4294967296"},
                                                        {"f1\"", "F1\""},
                                                        {"f1\"", "1\""},
                                                        {"esp32s3", ""},
                                                        {"esp32s3", "an-esp32s3-of-ours"},
                                                        {"1.2.0", std::string(40, '1')}}) {
    CAPTURE(change.second);
    CHECK_FALSE(read_manifest(without(kManifest, change.first, change.second)));
  }
}
