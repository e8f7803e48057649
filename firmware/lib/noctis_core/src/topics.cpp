#include "noctis/topics.hpp"

#include <cstdio>

namespace noctis {
namespace {

constexpr unsigned kShards = 64;

}  // namespace

Topics::Topics(std::string_view tenant, std::string_view device)
    : shard_(owner_of(tenant, device) % kShards) {
  std::snprintf(id_.data(), id_.size(), "%.*s/%.*s", static_cast<int>(tenant.size()),
                tenant.data(), static_cast<int>(device.size()), device.data());
  std::snprintf(filter_.data(), filter_.size(), "noctis/v1/down/%s/+", id_.data());
}

Topics::Topic Topics::up(Channel channel) const {
  Topic topic{};
  std::snprintf(topic.data(), topic.size(), "noctis/v1/up/%u/%s/%s", shard_, id_.data(),
                name_of(channel));
  return topic;
}

std::optional<DownChannel> Topics::down(std::string_view topic) const {
  const std::string_view filter(filter_.data());
  const std::string_view prefix = filter.substr(0, filter.size() - 1);
  if (topic.substr(0, prefix.size()) != prefix) {
    return std::nullopt;
  }
  return down_channel(topic.substr(prefix.size()));
}

}  // namespace noctis
