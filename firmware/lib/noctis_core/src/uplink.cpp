#include "noctis/uplink.hpp"

namespace noctis {

const char* name_of(Channel channel) {
  switch (channel) {
    case Channel::epochs:
      return "epochs";
    case Channel::backlog:
      return "backlog";
    case Channel::status:
      return "status";
    case Channel::time:
      return "time";
    case Channel::result:
      break;
  }
  return "result";
}

std::optional<DownChannel> down_channel(std::string_view name) {
  if (name == "ack") {
    return DownChannel::ack;
  }
  if (name == "time") {
    return DownChannel::time;
  }
  if (name == "command") {
    return DownChannel::command;
  }
  return std::nullopt;  // of a later version
}

}  // namespace noctis
