#include "noctis/commands.hpp"

#include <algorithm>
#include <limits>

#include "noctis/bytes.hpp"

namespace noctis {
namespace {

// Version, whether an erase is going on, its stream (u64), the ids.
constexpr const char* kName = "commands";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kIdsOffset = 10;
constexpr std::size_t kIdSize = CommandId{}.size();
using Bytes = std::array<std::uint8_t, kIdsOffset + Commands::kRemembered * kIdSize>;
static_assert(Bytes{}.size() <= Store::kMostValue);

}  // namespace

bool Commands::load() {
  Bytes bytes{};
  const auto size = place_.store.get(kName, bytes.data(), bytes.size());
  if (size != bytes.size() || bytes[0] != kVersion) {
    return false;
  }
  record_.erasing = bytes[1] != 0;
  record_.stream = get_u64(&bytes[2]);
  const std::uint8_t* from = &bytes[kIdsOffset];
  for (CommandId& id : record_.ids) {
    std::copy_n(from, kIdSize, id.begin());
    from += kIdSize;
  }
  return true;
}

bool Commands::save() {
  Bytes bytes{kVersion, static_cast<std::uint8_t>(record_.erasing ? 1 : 0)};
  put_u64(&bytes[2], record_.stream);
  std::uint8_t* to = &bytes[kIdsOffset];
  for (const CommandId& id : record_.ids) {
    to = std::copy(id.begin(), id.end(), to);
  }
  return place_.store.put(kName, bytes.data(), bytes.size());
}

// Before it is done.
bool Commands::remember(const Command& command) {
  const Record before = record_;
  std::copy_backward(record_.ids.begin(), record_.ids.end() - 1, record_.ids.end());
  record_.ids.front() = command.id;
  record_.erasing = command.kind == Command::Kind::erase;
  record_.stream = command.stream;
  if (save()) {
    return true;
  }
  record_ = before;
  place_.log.write(LogLevel::error, "a command could not be stored, and is not done");
  answer({"store", {}});
  return false;
}

bool Commands::remembered(const CommandId& id) const {
  return std::find(record_.ids.begin(), record_.ids.end(), id) != record_.ids.end();
}

bool Commands::begin(Spool::Mount mount) {
  if (!load()) {
    return false;
  }
  id_ = record_.ids.front();
  answer_due_.owe();
  if (!record_.erasing) {
    return false;
  }
  // A chip whose erase was cut off in its last sector cannot be read, and is not to be.
  erasing_ = mount == Spool::Mount::unreadable ||
             (mount == Spool::Mount::ready && place_.spool.stream() == record_.stream);
  if (erasing_) {
    place_.spool.begin_format();
    return true;
  }
  place_.configuration.forget();
  record_.erasing = false;
  save();
  return false;
}

void Commands::on_message(const std::uint8_t* data, std::size_t size) {
  const auto command = read_command(data, size);
  if (!command || busy()) {
    return;
  }
  if (command->id != id_) {
    id_ = command->id;
    if (!remembered(id_)) {
      take(*command);
      return;
    }
    answer_ = {};
  }
  answer_due_.owe();  // the answer was lost
}

void Commands::take(const Command& command) {
  switch (command.kind) {
    case Command::Kind::resend:
      if (const auto refusal = resend_.begin(command.stream, command.first, command.last)) {
        answer({name_of(*refusal), {}});
      }
      break;
    case Command::Kind::reboot:
      if (remember(command)) {
        restart();
      }
      break;
    case Command::Kind::identify:
      if (remember(command)) {
        place_.board.identify(command.seconds);
        answer({});
      }
      break;
    case Command::Kind::erase:
      erase(command);
      break;
    case Command::Kind::unknown:
      answer({"unknown_command", {}});
      break;
    case Command::Kind::malformed:
      answer({"malformed", {}});
  }
}

// The answer goes out after the boot, of what the store remembers.
void Commands::restart() {
  restarting_ = true;
  place_.board.restart();
}

// A stale one would erase what was made since.
void Commands::erase(const Command& command) {
  if (command.stream != place_.spool.stream()) {
    answer({name_of(Resend::Refusal::foreign_stream), {}});
    return;
  }
  if (remember(command)) {
    erasing_ = true;
    place_.spool.begin_format();
  }
}

// Then it boots: what RAM holds of the spool is worth nothing, and a stream takes new bits.
void Commands::erase_some() {
  if (!place_.spool.format_some(kSectorsAtOnce) || !place_.configuration.forget()) {
    return;
  }
  record_.erasing = false;
  if (save()) {
    erasing_ = false;
    restart();
  }
}

void Commands::answer(const Answer& answer) {
  answer_ = answer;
  answer_due_.owe();
}

void Commands::poll(bool in_flight) {
  if (erasing_) {
    erase_some();
  }
  if (resend_.active() && resend_.through() && !in_flight) {
    resend_.end();
    answer({nullptr, resend_.counts()});
  }
  if (!busy() && answer_due_.due(place_.clock.monotonic_ms())) {
    send_answer();
  }
}

void Commands::send_answer() {
  char json[kAnswerSize];
  const std::size_t size = write_answer(json);
  answer_due_.sent(
      place_.uplink.publish(Channel::result, reinterpret_cast<const std::uint8_t*>(json), size),
      place_.clock.monotonic_ms());
}

std::uint64_t Commands::wake_ms() const {
  if (erasing_) {
    return 0;
  }
  return busy() ? std::numeric_limits<std::uint64_t>::max() : answer_due_.wake_ms();
}

std::size_t Commands::write_answer(char (&json)[kAnswerSize]) const {
  JsonWriter writer(json);
  writer.text("id", {id_.data(), id_.size()});
  writer.text("state", answer_.refusal == nullptr ? "done" : "refused");
  writer.object("detail");
  if (answer_.refusal != nullptr) {
    writer.text("reason", answer_.refusal);
  } else if (answer_.counts) {
    writer.number("stored", std::uint64_t{answer_.counts->stored});
    writer.number("refused", std::uint64_t{answer_.counts->refused});
    writer.number("overwritten", std::uint64_t{answer_.counts->overwritten});
  }
  return writer.finish();
}

}  // namespace noctis
