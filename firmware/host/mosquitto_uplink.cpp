#include "mosquitto_uplink.hpp"

#include <mosquitto.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "noctis/crc.hpp"

namespace noctis::host {
namespace {

constexpr double kLeastBackoffS = 0.1;
constexpr double kMostBackoffS = 5;
constexpr double kConnectS = 10;  // until the broker has answered CONNECT and SUBSCRIBE
constexpr double kServiceS = 1;
constexpr int kKeepAliveS = 30;
constexpr unsigned kShards = 64;
constexpr int kLostIds = 0x10000;  // beyond MQTT's own

// Ids are checked: they hold nothing but a-z, 0-9 and '-'.
unsigned shard_of(const std::string& id) {
  return crc32(reinterpret_cast<const std::uint8_t*>(id.data()), id.size()) % kShards;
}

MosquittoUplink& self(void* object) { return *static_cast<MosquittoUplink*>(object); }

}  // namespace

void MosquittoUplink::Deleter::operator()(mosquitto* client) const {
  mosquitto_destroy(client);
}

MosquittoUplink::MosquittoUplink(Settings settings, Events events)
    : settings_(std::move(settings)),
      events_(std::move(events)),
      brokers_(parse_addresses(settings_.host, settings_.port)),
      backoff_s_(kLeastBackoffS) {
  broker_ = random_() % brokers_.size();
  const std::string id = settings_.tenant + "/" + settings_.device;
  up_prefix_ = "noctis/v1/up/" + std::to_string(shard_of(id)) + "/" + id + "/";
  down_prefix_ = "noctis/v1/down/" + id + "/";
}

MosquittoUplink::~MosquittoUplink() = default;

void MosquittoUplink::complain(const std::string& message) {
  if (!troubled_) {
    events_.on_trouble(message);
  }
  troubled_ = true;
}

void MosquittoUplink::complain_of_tls() {
  if (tls_ && !tls_->refusal().empty() && tls_->refusal() != refusal_) {
    refusal_ = tls_->refusal();
    troubled_ = false;  // that the connection is lost was said; this says why it stays so
    complain(refusal_ + "; trying on");
    if (events_.on_refusal) {
      events_.on_refusal(refusal_);
    }
  }
}

void MosquittoUplink::connect(double now_s) {
  const std::string id = settings_.tenant + "/" + settings_.device;
  static unsigned connections = 0;
  broken_ = false;
  connection_ = ++connections;
  broker_ = (broker_ + 1) % brokers_.size();
  const Address& broker = brokers_[broker_];
  give_up_at_s_ = now_s + kConnectS;
  // A new client each time: messages of the last connection must not come again, the spool
  // knows better what is missing.
  client_.reset(mosquitto_new(id.c_str(), true, this));
  if (!client_) {
    complain("cannot make an MQTT client: out of memory");
    broken_ = true;
    return;
  }
  mosquitto_username_pw_set(client_.get(), id.c_str(),
                            settings_.password.empty() ? nullptr : settings_.password.c_str());
  const std::string will = events_.last_will();
  mosquitto_will_set(client_.get(), (up_prefix_ + "status").c_str(),
                     static_cast<int>(will.size()), will.data(), 1, true);
  mosquitto_int_option(client_.get(), MOSQ_OPT_TCP_NODELAY, 1);
  set_callbacks();
  const bool secured = !settings_.tls.ca.empty() || !settings_.claimed.ca.empty();
  if (secured && !secure(broker.host)) {
    broken_ = true;
    return;
  }
  const int result =
      mosquitto_connect_async(client_.get(), broker.host.c_str(), broker.port, kKeepAliveS);
  if (result != MOSQ_ERR_SUCCESS && result != MOSQ_ERR_CONN_PENDING) {
    const int why = errno;
    complain_of_tls();
    complain("no connection to the broker " + broker.host + ":" + std::to_string(broker.port) +
             ": " +
             (result == MOSQ_ERR_ERRNO ? std::strerror(why) : mosquitto_strerror(result)) +
             "; trying on");
    broken_ = true;
  }
}

bool MosquittoUplink::secure(const std::string& host) {
  std::string error;
  auto tls = settings_.claimed.ca.empty() ? Tls::open(settings_.tls, error)
                                          : Tls::open(settings_.claimed, error);
  if (!tls) {
    complain(error + "; trying on");
    return false;
  }
  tls_ = std::move(tls);
  mosquitto_int_option(client_.get(), MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
  mosquitto_void_option(client_.get(), MOSQ_OPT_SSL_CTX, tls_->context_for(host));
  return true;
}

void MosquittoUplink::set_callbacks() {
  mosquitto_connect_callback_set(
      client_.get(), [](mosquitto*, void* object, int code) { self(object).connected(code); });
  mosquitto_subscribe_callback_set(client_.get(),
                                   [](mosquitto*, void* object, int, int, const int*) {
                                     // Only now can an acknowledgement come: whatever is
                                     // published earlier might miss it.
                                     MosquittoUplink& uplink = self(object);
                                     uplink.up_ = true;
                                     uplink.ghost_.reset();
                                     uplink.troubled_ = false;
                                     uplink.refusal_.clear();
                                     uplink.backoff_s_ = kLeastBackoffS;
                                     uplink.events_.on_state(true);
                                   });
  mosquitto_publish_callback_set(
      client_.get(), [](mosquitto*, void* object, int id) { self(object).events_.on_ack(id); });
  mosquitto_message_callback_set(
      client_.get(), [](mosquitto*, void* object, const mosquitto_message* message) {
        self(object).received(*message);
      });
  mosquitto_disconnect_callback_set(
      client_.get(), [](mosquitto*, void* object, int) { self(object).broken_ = true; });
}

void MosquittoUplink::connected(int code) {
  if (code != 0) {
    complain(std::string("the broker refuses ") + settings_.tenant + "/" + settings_.device +
             ": " + mosquitto_connack_string(code) + "; trying on");
    broken_ = true;
    return;
  }
  // QoS 0: the session ends with the connection, so nothing is kept for it anyway; and in a
  // RabbitMQ cluster a queue of QoS 1 would lie on one node, and lock the device out with it.
  if (mosquitto_subscribe(client_.get(), nullptr, (down_prefix_ + "+").c_str(), 0) != 0) {
    broken_ = true;
  }
}

void MosquittoUplink::received(const mosquitto_message& message) {
  const std::string_view topic(message.topic);
  if (topic.substr(0, down_prefix_.size()) != down_prefix_) {
    return;
  }
  const auto channel = down_channel(topic.substr(down_prefix_.size()));
  // Without bytes: what was retained is withdrawn.
  if (channel && (message.payloadlen > 0 || *channel == DownChannel::ota)) {
    events_.on_message(*channel, static_cast<const std::uint8_t*>(message.payload),
                       static_cast<std::size_t>(message.payloadlen));
  }
}

int MosquittoUplink::publish(Channel channel, const std::uint8_t* data, std::size_t size) {
  if (!up_ || broken_) {
    return -1;
  }
  if (link_ == Link::stalled) {
    return kLostIds + lost_id_++;
  }
  forget_tls_errors();
  int id = 0;
  const std::string topic = up_prefix_ + name_of(channel);
  std::string payload(reinterpret_cast<const char*>(data), size);
  if (channel == Channel::status && tls_ && !tls_->serial().empty()) {
    tell_certificate(payload);
  }
  const int result =
      mosquitto_publish(client_.get(), &id, topic.c_str(), static_cast<int>(payload.size()),
                        payload.data(), qos_of(channel), retained(channel));
  return result == MOSQ_ERR_SUCCESS ? id : -1;
}

// The platform ends the certificate before this one when it hears that this one works.
void MosquittoUplink::tell_certificate(std::string& status) const {
  if (!status.empty() && status.back() == '}') {
    status.pop_back();
    status += R"(,"certificate":")" + tls_->serial() + "\"}";
  }
}

void MosquittoUplink::drop() {
  client_.reset();
  broken_ = false;
  if (up_) {
    up_ = false;
    events_.on_state(false);
    complain("the connection to the broker is lost; trying on");
  }
}

void MosquittoUplink::set_link(Link link) {
  if (link == link_) {
    return;
  }
  if (link == Link::dead && client_) {
    if (link_ != Link::sound) {
      ghost_ = std::move(client_);
    }
    troubled_ = true;  // asked for: nothing to complain of
    drop();
  }
  link_ = link;
}

double MosquittoUplink::service(double now_s) {
  if (muted()) {
    return kServiceS;
  }
  forget_tls_errors();
  if (client_ && !broken_) {
    broken_ = mosquitto_loop_misc(client_.get()) != MOSQ_ERR_SUCCESS;
    if (!up_ && now_s > give_up_at_s_) {
      complain("the broker " + brokers_[broker_].host + ":" +
               std::to_string(brokers_[broker_].port) + " does not answer; trying on");
      broken_ = true;
    }
  }
  if (client_ && broken_) {
    if (!up_) {
      complain_of_tls();
    }
    drop();
    attempt_at_s_ = now_s + backoff_s_ * std::uniform_real_distribution<>(0.5, 1)(random_);
    backoff_s_ = std::min(2 * backoff_s_, kMostBackoffS);
  }
  if (attempt_at_s_ == 0) {
    attempt_at_s_ = now_s + settings_.connect_after_s;
  }
  if (!client_ && now_s >= attempt_at_s_) {
    connect(now_s);
  }
  if (broken_) {
    return 0;
  }
  return client_ ? kServiceS : attempt_at_s_ - now_s;
}

int MosquittoUplink::socket() const { return client_ ? mosquitto_socket(client_.get()) : -1; }

bool MosquittoUplink::wants_write() const {
  return client_ && mosquitto_want_write(client_.get());
}

void MosquittoUplink::readable() {
  forget_tls_errors();
  if (client_ && !muted() && mosquitto_loop_read(client_.get(), 1) != MOSQ_ERR_SUCCESS) {
    broken_ = true;
  }
}

void MosquittoUplink::writable() {
  forget_tls_errors();
  if (client_ && !muted() && mosquitto_loop_write(client_.get(), 1) != MOSQ_ERR_SUCCESS) {
    broken_ = true;
  }
}

void MosquittoUplink::disconnect() {
  if (client_ && up_ && !muted()) {
    mosquitto_disconnect(client_.get());
  }
  up_ = false;
}

}  // namespace noctis::host
