#include "noctis/commands.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace noctis {

void Commands::on_state(bool up) {
  up_ = up;
  message_ = -1;
  due_ms_ = 0;
}

void Commands::on_ack(int id) {
  if (owed_ && id == message_) {
    owed_ = false;
  }
}

void Commands::on_message(const std::uint8_t* data, std::size_t size) {
  const auto command = read_command(data, size);
  if (!command || resend_.active()) {
    return;
  }
  if (command->id == id_) {
    owed_ = true;  // the answer was lost
    message_ = -1;
    return;
  }
  id_ = command->id;
  switch (command->kind) {
    case Command::Kind::resend:
      if (const auto refusal = resend_.begin(command->stream, command->first, command->last)) {
        answer(name_of(*refusal));
      }
      break;
    case Command::Kind::unknown:
      answer("unknown_command");
      break;
    case Command::Kind::malformed:
      answer("malformed");
  }
}

void Commands::answer(const char* refusal) {
  answer_ = {refusal, refusal == nullptr ? resend_.counts() : Resend::Counts{}};
  owed_ = true;
  message_ = -1;
  due_ms_ = 0;
}

void Commands::poll(bool in_flight) {
  if (resend_.active() && resend_.through() && !in_flight) {
    resend_.end();
    answer(nullptr);
  }
  if (up_ && owed_ && message_ < 0 && clock_.monotonic_ms() >= due_ms_) {
    send_answer();
  }
}

void Commands::send_answer() {
  char json[kAnswerSize];
  const std::size_t size = write_answer(json);
  message_ =
      uplink_.publish(Channel::result, reinterpret_cast<const std::uint8_t*>(json), size);
  due_ms_ = message_ < 0 ? clock_.monotonic_ms() + kRetryMs : 0;
}

std::uint64_t Commands::wake_ms() const {
  return up_ && owed_ && message_ < 0 ? due_ms_ : std::numeric_limits<std::uint64_t>::max();
}

std::size_t Commands::write_answer(char (&json)[kAnswerSize]) const {
  const auto id_size = static_cast<int>(id_.size());
  const int size =
      answer_.refusal != nullptr
          ? std::snprintf(json, sizeof json,
                          R"({"id":"%.*s","state":"refused","detail":{"reason":"%s"}})",
                          id_size, id_.data(), answer_.refusal)
          : std::snprintf(json, sizeof json,
                          R"({"id":"%.*s","state":"done","detail":)"
                          R"({"stored":%lu,"refused":%lu,"overwritten":%lu}})",
                          id_size, id_.data(),
                          static_cast<unsigned long>(answer_.counts.stored),
                          static_cast<unsigned long>(answer_.counts.refused),
                          static_cast<unsigned long>(answer_.counts.overwritten));
  return static_cast<std::size_t>(std::clamp(size, 0, static_cast<int>(sizeof json) - 1));
}

}  // namespace noctis
