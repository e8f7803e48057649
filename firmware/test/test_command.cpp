#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "noctis/command.hpp"

using namespace noctis;

namespace {

const std::string kId = "0b7e4a3c-19d2-4f6a-8c55-a1b2c3d4e5f6";
const std::string kGood = R"({"id":")" + kId +
                          R"(","command":"resend","stream":"9f0c1d2e3a4b5c6d",)"
                          R"("from":7,"to":4294967295})";

std::optional<Command> read(const std::string& text) {
  return read_command(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

std::string with(const std::string& part, const std::string& other) {
  std::string text = kGood;
  const std::size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), other);
}

bool malformed(const std::string& text) {
  const auto command = read(text);
  REQUIRE(command);
  return command->kind == Command::Kind::malformed;
}

}  // namespace

TEST_CASE("a command to resend is read, in any order and with members of later versions") {
  for (const std::string& text :
       {kGood,
        R"( { "to" : 4294967295 , "from":7,"stream":"9f0c1d2e3a4b5c6d",
            "later": null, "more": true, "less":false,"why": "the disk (#3) broke", "n": 0,
            "command":"resend", "id":")" +
            kId + "\"}\n"}) {
    CAPTURE(text);
    const auto command = read(text);
    REQUIRE(command);
    CHECK(std::string(command->id.begin(), command->id.end()) == kId);
    CHECK(command->kind == Command::Kind::resend);
    CHECK(command->stream == 0x9F0C1D2E3A4B5C6DU);
    CHECK(command->first == 7);
    CHECK(command->last == 4294967295);
  }
}

TEST_CASE("what is no flat object of strings and whole numbers is no command") {
  std::vector<std::string> texts = {
      "",
      "{}",
      "[]",
      "null",
      "\"id\"",
      kGood + "x",
      kGood + kGood,
      "[" + kGood + "]",
      with("7", "7.0"),
      with("7", "07"),
      with("7", "-7"),
      with("7", "+7"),
      with("7", "7e0"),
      with("7", "4294967296"),
      with("7", "99999999999999999999999"),
      with("7", ""),
      with("7", "{}"),
      with("7", "[7]"),
      with("7", "trues"),
      with("7", "True"),
      with("7", "7,"),
      with(",\"to\"", "\"to\""),
      with("\"from\":", "\"from\""),
      with("\"from\"", "from"),
      with("\"from\"", "'from'"),
      with("resend", "re\\u0073end"),
      with("resend", "re\nsend"),
      with("resend", "res\xC3\xA9nd"),
      with("resend", std::string("re\0send", 7)),
      with("\"from\"", "\"to\""),
      with("\"from\":7", "\"from\":7,\"from\":7"),
      with("\"from\":7", "\"from\":null,\"from\":7"),
      with("\"id\"", "\"ID\""),
      with(kId, kId.substr(1)),
      with(kId, kId + "0"),
      with("0b7e4a3c", "0B7E4A3C"),
      with("0b7e4a3c-", "0b7e4a3c0"),
      with("\"" + kId + "\"", "17"),
      with("7", "7" + std::string(kMostCommand, ' ')),
  };
  for (std::size_t size = 0; size < kGood.size(); ++size) {
    texts.push_back(kGood.substr(0, size));
  }
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK_FALSE(read(text));
  }
}

TEST_CASE("a command whose id is good and whose rest makes no sense can be answered") {
  CHECK(malformed(R"({"id":")" + kId + "\"}"));
  CHECK(malformed(with("\"resend\"", "7")));
  CHECK(malformed(with("9f0c1d2e3a4b5c6d", "9f0c1d2e3a4b5c6")));
  CHECK(malformed(with("9f0c1d2e3a4b5c6d", "9f0c1d2e3a4b5c6dd")));
  CHECK(malformed(with("9f0c1d2e3a4b5c6d", "9F0C1D2E3A4B5C6D")));
  CHECK(malformed(with("\"9f0c1d2e3a4b5c6d\"", "9")));
  CHECK(malformed(with("\"from\"", "\"form\"")));
  CHECK(malformed(with(":7", ":\"7\"")));
  CHECK(malformed(with("4294967295", "6")));
  const auto later = read(with("resend", "dance"));
  REQUIRE(later);
  CHECK(later->kind == Command::Kind::unknown);
}
