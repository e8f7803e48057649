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
      return "result";
    case Channel::config:
      return "config";
    case Channel::log:
      return "log";
    case Channel::ota:
      break;
  }
  return "ota";
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
  if (name == "config") {
    return DownChannel::config;
  }
  if (name == "ota") {
    return DownChannel::ota;
  }
  return std::nullopt;  // of a later version
}

}  // namespace noctis
