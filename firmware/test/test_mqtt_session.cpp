#include "noctis/mqtt_session.hpp"
#include "scripted_platform.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

using Kind = MqttEvent::Kind;

struct ScriptedClient : MqttClient {
  bool open(std::uint32_t number, const char* topic, const std::uint8_t* data,
            std::size_t size) override {
    ++opened;
    connection = number;
    will_topic = topic;
    will.assign(reinterpret_cast<const char*>(data), size);
    return opens;
  }
  void close() override { ++closed; }
  bool subscribe(const char* filter) override {
    subscribed = filter;
    return subscribes;
  }
  int enqueue(const char* topic, const std::uint8_t* data, std::size_t size, int qos,
              bool retained) override {
    if (full) {
      return -2;
    }
    last.assign(reinterpret_cast<const char*>(data), size);
    sent.push_back(std::string(topic) + " " + std::to_string(qos) + (retained ? " r" : ""));
    return next_id++;
  }

  bool opens = true;
  bool subscribes = true;
  bool full = false;
  int opened = 0;
  int closed = 0;
  int next_id = 100;
  std::uint32_t connection = 0;
  std::string will_topic;
  std::string will;
  std::string subscribed;
  std::vector<std::string> sent;
  std::string last;  // what was sent
};

struct Connected : UplinkListener {
  void on_state(bool up) override { courier.on_state(up); }
  void on_ack(int id) override { courier.on_ack(id); }
  void on_message(DownChannel channel, const std::uint8_t* data, std::size_t size) override {
    courier.on_message(channel, data, size);
  }
  std::size_t last_will(char (&json)[kMostWill]) override {
    char status[Courier::kStatusSize];
    const std::size_t size = courier.status("lost", status);
    std::copy_n(status, size, json);
    return size;
  }

  Connected() {
    session.serve(*this);
    spool.mount();
  }
  void event(Kind kind, int id = 0) {
    MqttEvent event;
    event.kind = kind;
    event.connection = client.connection;
    event.id = id;
    session.on_event(event);
  }
  void pass(std::uint64_t ms) {
    for (const std::uint64_t end = clock.now_ms + ms; clock.now_ms < end;) {
      clock.now_ms += 50;
      session.poll();
    }
  }
  void come_up() {
    session.set_network(true);
    pass(100);
    event(Kind::connected);
    event(Kind::subscribed);
  }

  SimulatedClock clock;
  ScriptedClient client;
  Topics topics{"t1", "d1"};
  MqttSession session{client, clock, topics, 5};
  TornNor nor{8, 1};
  Spool spool{nor, {1, 2, 3}};
  WallClock wall_clock{clock, 1'600'000'000};
  MemoryStore store;
  TestBoard board;
  Courier courier{spool, session, clock, wall_clock, store, board, "test 1", 9};
};

}  // namespace

TEST_CASE("nothing is tried without a network, and a network that came is tried at once") {
  Connected device;
  device.pass(100'000);
  CHECK(device.client.opened == 0);
  device.session.set_network(true);
  device.pass(50);
  CHECK(device.client.opened == 1);
  CHECK(device.client.will_topic == device.topics.up(Channel::status).data());
  CHECK(device.client.will.find(R"("state":"lost")") != std::string::npos);
}

TEST_CASE("the uplink is up once the broker has granted the subscription, not before") {
  Connected device;
  device.session.set_network(true);
  device.pass(100);
  device.event(Kind::connected);
  CHECK(device.client.subscribed == "noctis/v1/down/t1/d1/+");
  CHECK_FALSE(device.courier.up());
  CHECK(device.session.publish(Channel::epochs, nullptr, 0) < 0);
  device.event(Kind::subscribed);
  CHECK(device.courier.up());
  device.courier.poll();
  REQUIRE_FALSE(device.client.sent.empty());
  CHECK(device.client.sent[0] ==
        std::string(device.topics.up(Channel::status).data()) + " 1 r");
  device.client.full = true;
  CHECK(device.session.publish(Channel::epochs, nullptr, 0) == -2);
}

TEST_CASE("a status tells the certificate that the client shows, and nothing else does") {
  Connected device;
  device.come_up();
  const std::string status = R"({"state":"online"})";
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(status.data());
  device.session.publish(Channel::status, bytes, status.size());
  CHECK(device.client.last == status);
  device.session.tell_certificate("5eed");
  device.session.publish(Channel::status, bytes, status.size());
  CHECK(device.client.last == R"({"state":"online","certificate":"5eed"})");
  device.session.publish(Channel::log, bytes, status.size());
  CHECK(device.client.last == status);
  device.courier.publish_status("online");
  const Json json(cJSON_Parse(device.client.last.c_str()), cJSON_Delete);
  REQUIRE(json);
  CHECK(text(json.get(), "certificate") == "5eed");
}

TEST_CASE("events of a client that is no more change nothing") {
  Connected device;
  device.come_up();
  MqttEvent late;
  late.kind = Kind::lost;
  late.connection = device.client.connection - 1;
  device.session.on_event(late);
  CHECK(device.courier.up());
  device.event(Kind::lost);
  CHECK_FALSE(device.courier.up());
  device.event(Kind::subscribed);
  CHECK_FALSE(device.courier.up());
}

TEST_CASE("each connection has a client of its own, and the one before is closed") {
  Connected device;
  device.come_up();
  device.event(Kind::lost);
  CHECK(device.client.closed == 1);
  device.pass(2000);
  CHECK(device.client.opened == 2);
}

TEST_CASE("a broker that is away is tried less and less often, up to once a minute") {
  Connected device;
  device.session.set_network(true);
  for (int i = 0; i < 12; ++i) {
    device.pass(100);
    while (device.client.opened == device.client.closed) {
      device.pass(100);
    }
    device.event(Kind::lost);
  }
  CHECK(device.session.failures() == 12);
  const int opened = device.client.opened;
  device.pass(600'000);
  CHECK(device.client.opened - opened >= 6);  // each gives up after 30 s
  CHECK(device.client.opened - opened <= 11);
  while (device.client.opened == device.client.closed) {
    device.pass(100);
  }
  device.event(Kind::connected);
  device.event(Kind::subscribed);
  CHECK(device.session.failures() == 0);
}

TEST_CASE("a connection that does not come up is given up after half a minute") {
  Connected device;
  device.session.set_network(true);
  device.pass(29'000);
  CHECK(device.client.closed == 0);
  device.pass(1500);
  CHECK(device.client.closed == 1);
}

TEST_CASE("a subscription that cannot be made ends the connection") {
  Connected device;
  device.client.subscribes = false;
  device.session.set_network(true);
  device.pass(100);
  device.event(Kind::connected);
  CHECK(device.client.closed == 1);
}

TEST_CASE("a network that goes takes the connection with it") {
  Connected device;
  device.come_up();
  device.session.set_network(false);
  CHECK_FALSE(device.courier.up());
  CHECK(device.client.closed == 1);
  device.pass(100'000);
  CHECK(device.client.opened == 1);
}

TEST_CASE("memory that is short for a client is waited for") {
  Connected device;
  device.client.opens = false;
  device.session.set_network(true);
  device.pass(50);
  CHECK(device.client.closed == 1);
  device.client.opens = true;
  device.pass(2000);
  CHECK(device.client.opened == 2);
}
