// Any bytes as a command.
#include "noctis/command.hpp"

#include <string>

#include "expect.hpp"

using noctis::fuzz::expect;

namespace {

void check_members(std::string_view text) {
  noctis::JsonReader reader(text);
  noctis::JsonMember member;
  std::size_t members = 0;
  while (reader.next(member)) {
    ++members;
    expect(!(member.text && member.number), "a value is one thing");
    expect(member.name.data() > text.data(), "a name lies within the text");
    expect(member.name.data() + member.name.size() < text.data() + text.size(),
           "a name ends within the text");
  }
  expect(4 * members < text.size() + 4, "a member takes more than three characters");
  expect(!reader.next(member), "what ended has ended");
  expect(!reader.complete() || text.find('}') != std::string_view::npos,
         "what is complete was closed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_members({reinterpret_cast<const char*>(data), size});
  const auto command = noctis::read_command(data, size);
  if (!command) {
    return 0;
  }
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::string id(command->id.begin(), command->id.end());
  expect(size <= noctis::kMostCommand, "a command is short");
  expect(text.find('"' + id + '"') != std::string::npos, "the id is the one that came");
  expect(command->first <= command->last, "a range has an order");
  const bool resend = command->kind == noctis::Command::Kind::resend;
  expect(!resend || text.find("\"resend\"") != std::string::npos, "resend was asked for");
  const bool erase = command->kind == noctis::Command::Kind::erase;
  expect(command->seconds <= noctis::Command::kMostIdentifyS, "nobody blinks for ever");
  const bool nothing = command->stream == 0 && command->first == 0 && command->last == 0;
  expect(resend || erase || nothing, "what is no resend has no range");
  return 0;
}
