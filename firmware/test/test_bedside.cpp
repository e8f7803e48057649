// A claimed device in real time, put together as on the board: only the adapters are others.
#include "identity_bytes.hpp"
#include "noctis/bedside.hpp"
#include "noctis/light.hpp"
#include "radar_bytes.hpp"
#include "update_world.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

using Kind = MqttEvent::Kind;

struct Broker : MqttClient {
  bool open(std::uint32_t number, const char*, const std::uint8_t* data,
            std::size_t size) override {
    connection = number;
    will.assign(reinterpret_cast<const char*>(data), size);
    return true;
  }
  void close() override { ++closed; }
  bool subscribe(const char*) override { return true; }
  int enqueue(const char* topic, const std::uint8_t* data, std::size_t size, int,
              bool) override {
    topics.emplace_back(topic);
    last.assign(data, data + size);
    return next_id++;
  }
  std::uint32_t connection = 0;
  int closed = 0;
  int next_id = 1;
  std::string will;
  std::vector<std::string> topics;
  Written last;
};

struct NoBus : I2cBus {
  bool write(std::uint8_t, std::uint8_t, std::uint8_t) override { return false; }
  bool read(std::uint8_t, std::uint8_t, std::uint8_t*, std::size_t) override { return false; }
};

struct OneSlot : ImageSlots {
  Flash& spare() override { return flash; }
  bool on_trial() override { return false; }
  bool spare_failed() override { return false; }
  bool boot_spare() override { return true; }
  bool keep() override { return true; }
  bool give_up() override { return true; }
  TornNor flash{4, 1};
};

struct Room {
  explicit Room(TornNor& chip) : nor(chip) {}

  void start() {
    bedside.boot();
    bedside.step(false);
  }
  void event(Kind kind, int id = 0, const Written& data = {},
             DownChannel channel = DownChannel::ack) {
    MqttEvent event;
    event.kind = kind;
    event.connection = broker.connection;
    event.id = id;
    event.channel = channel;
    event.data = data.data();
    event.size = data.size();
    bedside.session().on_event(event);
  }
  void pass(std::uint64_t ms, bool network, bool radar = true) {
    for (const std::uint64_t end = clock.now_ms + ms; clock.now_ms < end;) {
      clock.now_ms += 5;
      if (radar && clock.now_ms % 1000 == 0) {
        const Bytes frame = r60abd1_frame(0x8001, {1});
        bedside.radar(frame.data(), frame.size());
      }
      bedside.step(network);
    }
  }
  int frames(const std::string& channel) const {
    return static_cast<int>(std::count_if(
        broker.topics.begin(), broker.topics.end(), [&](const std::string& topic) {
          return topic.size() > channel.size() &&
                 topic.compare(topic.size() - channel.size(), channel.size(), channel) == 0;
        }));
  }

  TornNor& nor;
  Written bytes = written({});
  Identity identity = *read_identity(bytes.data(), bytes.size());
  Topics topics{identity.tenant, identity.device};
  SimulatedClock clock;
  Broker broker;
  NoBus bus;
  MemoryStore store;
  TestBoard board;
  OneSlot slots;
  ScriptedSource source;
  SodiumCrypto crypto;
  Bedside bedside{{nor, 7, broker, bus, clock, store, board, slots, source, crypto, 0x1234567},
                  identity,
                  topics,
                  {"test", "1", 1},
                  "test 1"};
};

}  // namespace

TEST_CASE("a claimed device keeps its epochs without a network and brings them once there is") {
  TornNor nor(8, 1);
  Room room(nor);
  room.start();
  room.pass(91'000, false);
  CHECK(room.bedside.recorder().spool().backlog() == 3);
  CHECK(room.bedside.sign(true, false) == Sign::no_wifi);
  room.pass(100, true);
  CHECK(room.bedside.sign(true, true) == Sign::no_platform);
  CHECK(room.broker.will.find(R"("state":"lost")") != std::string::npos);
  room.event(Kind::connected);
  room.event(Kind::subscribed);
  room.pass(1000, true);
  CHECK(room.bedside.sign(true, true) == Sign::well);
  CHECK(room.frames("/status") == 1);
  CHECK(room.frames("/backlog") == 1);
  CHECK(room.frames("/epochs") == 0);
  room.pass(30'000, true);
  CHECK(room.frames("/epochs") == 1);
  const std::vector<std::string>& topics = room.broker.topics;
  CHECK(std::count(topics.begin(), topics.end(), room.topics.up(Channel::epochs).data()) == 1);
}

TEST_CASE("what the platform acknowledges over the session is done") {
  TornNor nor(8, 1);
  Room room(nor);
  room.start();
  room.pass(100, true);
  room.event(Kind::connected);
  room.event(Kind::subscribed);
  room.pass(30'500, true);
  Spool& spool = room.bedside.recorder().spool();
  REQUIRE(spool.backlog() == 1);
  Written ack{1, 1};
  ack.resize(16);
  put_u64(&ack[2], spool.stream());
  put_u32(&ack[10], spool.next_seq() - 1);
  ack[14] = 1;
  ack[15] = 0;
  room.event(Kind::message, 0, sealed(ack));
  CHECK(spool.backlog() == 0);
}

TEST_CASE("the light says what is amiss, the worst first, and nothing where all is well") {
  TornNor nor(8, 1);
  Room room(nor);
  room.start();
  CHECK(room.bedside.sign(false, true) == Sign::no_flash);
  room.pass(31'000, true, false);
  CHECK(room.bedside.sign(true, true) == Sign::no_radar);
  const auto flashes = [](Sign sign) {
    int count = 0;
    for (std::uint64_t ms = 1; ms <= kSignMs; ++ms) {
      count += lit(sign, ms) && !lit(sign, ms - 1) ? 1 : 0;
    }
    return count;
  };
  CHECK(flashes(Sign::well) == 0);
  CHECK(flashes(Sign::unclaimed) == 1);
  CHECK(flashes(Sign::no_flash) == 5);
  CHECK(lit_to_identify(0) != lit_to_identify(100));
}

TEST_CASE(
    "the epochs of a device that is claimed for somebody else are not sent and are erased") {
  TornNor nor(8, 1);
  {
    Room first(nor);
    first.start();
    first.pass(91'000, false);
  }
  Room second(nor);
  IdentityFields fields;
  fields.device = "another";
  const Written bytes = written(fields);
  const Identity identity = *read_identity(bytes.data(), bytes.size());
  const Topics topics(identity.tenant, identity.device);
  Bedside other({nor, 7, second.broker, second.bus, second.clock, second.store, second.board,
                 second.slots, second.source, second.crypto, 0x7654321},
                identity, topics, {"test", "1", 1}, "test 1");
  CHECK(other.boot() == Spool::Mount::new_stream);
  CHECK(other.recorder().spool().backlog() == 0);
  for (int i = 0; i < 7000; ++i) {
    second.clock.now_ms += 5;
    other.step(false);
  }
  layout::HeaderBytes header{};
  nor.read(0, header.data(), header.size());
  CHECK_FALSE(layout::decode_header(header.data()));
  CHECK(other.recorder().spool().backlog() == 1);
}

TEST_CASE("before it restarts a device says that it sleeps, and says goodbye") {
  TornNor nor(8, 1);
  Room room(nor);
  room.start();
  room.pass(100, true);
  room.event(Kind::connected);
  room.event(Kind::subscribed);
  room.bedside.close();
  const std::string said(room.broker.last.begin(), room.broker.last.end());
  CHECK(said.find(R"("state":"sleeping")") != std::string::npos);
  CHECK(room.broker.closed == 1);
}
