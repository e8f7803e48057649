// The uplink over libmosquitto: MQTT 3.1.1, one clean session at a time, polled by its owner.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "addresses.hpp"
#include "link.hpp"
#include "noctis/uplink.hpp"
#include "tls.hpp"

struct mosquitto;
struct mosquitto_message;

namespace noctis::host {

class MosquittoUplink : public Uplink {
 public:
  struct Settings {
    std::string host;  // of one broker, or a cluster's nodes: see parse_addresses
    int port;
    std::string tenant;
    std::string device;
    std::string password;        // empty: none
    TlsFiles tls;                // read at each connect: a renewed certificate is used then
    TlsBytes claimed;            // with a CA: instead
    double connect_after_s = 0;  // so that a fleet does not come all at once
  };
  struct Events {
    std::function<void(bool up)> on_state;
    std::function<void(int id)> on_ack;
    std::function<void(DownChannel channel, const std::uint8_t* data, std::size_t size)>
        on_message;
    std::function<std::string()> last_will;
    std::function<void(const std::string& message)> on_trouble;  // once a spell of trouble
    std::function<void(const std::string& why)> on_refusal;      // by TLS; may be missing
  };

  MosquittoUplink(Settings settings, Events events);
  ~MosquittoUplink() override;

  int publish(Channel channel, const std::uint8_t* data, std::size_t size) override;

  // What the network is like from now on. A connection that dies is not ended: where it stalled
  // first, the broker does not even hear of it before the next one.
  void set_link(Link link);
  // Connects when it is time to, keeps the connection alive. Returns the seconds until it wants
  // to be called again. Times are seconds of one clock.
  double service(double now_s);
  // The socket to poll, or -1; and what for.
  int socket() const;
  // Tells a socket from an earlier one of the same number.
  unsigned connection() const { return connection_; }
  bool up() const { return up_; }
  // Why TLS fails, as far as it knows; empty: it does not.
  const std::string& refusal() const { return refusal_; }
  // Nothing is to be read or written now.
  bool muted() const { return link_ != Link::sound; }
  bool wants_write() const;
  void readable();
  void writable();
  // Ends the connection in good order; the last will is not sent.
  void disconnect();

 private:
  struct Deleter {
    void operator()(mosquitto* client) const;
  };

  void connect(double now_s);
  bool secure(const std::string& host);
  void tell_certificate(std::string& status) const;
  void drop();
  void complain(const std::string& message);
  void complain_of_tls();
  std::string topic(const char* direction, const std::string& channel) const;
  void set_callbacks();
  void connected(int code);
  void received(const mosquitto_message& message);

  Settings settings_;
  Events events_;
  std::vector<Address> brokers_;  // each connection goes to the next one
  std::size_t broker_ = 0;
  std::string up_prefix_;
  std::string down_prefix_;
  std::unique_ptr<Tls> tls_;  // null: none; it outlives its connection
  std::unique_ptr<mosquitto, Deleter> client_;
  std::mt19937 random_{std::random_device{}()};
  std::unique_ptr<mosquitto, Deleter> ghost_;  // a dead connection, not closed yet
  Link link_ = Link::sound;
  int lost_id_ = 0;  // of messages that go nowhere
  unsigned connection_ = 0;
  bool up_ = false;
  bool broken_ = false;  // the connection is to be dropped, outside of callbacks
  bool troubled_ = false;
  std::string refusal_;  // by TLS, of this spell of trouble
  double attempt_at_s_ = 0;
  double give_up_at_s_ = 0;
  double backoff_s_;
};

}  // namespace noctis::host
