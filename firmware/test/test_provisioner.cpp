#include <doctest/doctest.h>

#include <cstring>
#include <utility>

#include "identity_bytes.hpp"
#include "memory_store.hpp"
#include "noctis/provisioner.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

struct Ticks : Clock {
  std::uint64_t now_ms = 0;
  std::uint64_t monotonic_ms() const override { return now_ms; }
};

// A room with one network, and one neighbour's.
struct Room : Radio {
  void join(const WifiSettings& wifi) override {
    ++joins;
    in = wifi.name == "Home" && wifi.password == "right password" && there;
  }
  bool joined() override { return in && there; }
  void scan() override { scanning = true; }
  int scanned() override { return scanning && done ? 2 : -1; }
  Network network(int index) override {
    Network network{};
    std::strcpy(network.name.data(), index == 0 ? "Home" : "Caf\xC3\xA9");
    network.rssi = static_cast<std::int8_t>(index == 0 ? -48 : -80);
    network.secured = index == 0;
    return network;
  }

  int joins = 0;
  bool there = true;
  bool in = false;
  bool scanning = false;
  bool done = false;
};

struct Line : Port {
  void write(const std::uint8_t* data, std::size_t size) override {
    text.append(reinterpret_cast<const char*>(data), size);
  }
  std::string take() { return std::exchange(text, {}); }
  std::string text;
};

// A packet as another program writes it.
std::string packet(int type, const std::string& data) {
  std::string bytes = "IMPROV\x01";
  bytes += static_cast<char>(type);
  bytes += static_cast<char>(data.size());
  bytes += data;
  unsigned sum = 0;
  for (const char byte : bytes) {
    sum += static_cast<unsigned char>(byte);
  }
  return bytes + static_cast<char>(sum);
}

std::string rpc(int command, const std::string& data = {}) {
  return packet(
      3, std::string(1, static_cast<char>(command)) + static_cast<char>(data.size()) + data);
}

std::string strings(int command, const std::vector<std::string>& values) {
  std::string data;
  for (const std::string& value : values) {
    data += static_cast<char>(value.size());
    data += value;
  }
  return packet(4, std::string(1, static_cast<char>(command)) + static_cast<char>(data.size()) +
                       data) +
         "\n";
}

const std::string kNoError = packet(2, std::string(1, '\0')) + "\n";
const std::string kInvalid = packet(2, "\x01") + "\n";
const std::string kUnknownCommand = packet(2, "\x02") + "\n";
const std::string kUnable = packet(2, "\x03") + "\n";
const std::string kReady = packet(1, "\x02") + "\n";
const std::string kProvisioning = packet(1, "\x03") + "\n";
const std::string kProvisioned = packet(1, "\x04") + "\n";

std::string wifi(const std::string& name, const std::string& password) {
  return std::string(1, static_cast<char>(name.size())) + name +
         static_cast<char>(password.size()) + password;
}

struct Claimed {
  Claimed() { provisioner.begin(); }
  std::string say(const std::string& bytes) {
    provisioner.push(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    provisioner.poll();
    return line.take();
  }
  std::string wait(std::uint64_t ms) {
    clock.now_ms += ms;
    provisioner.poll();
    return line.take();
  }
  std::string bring(const Written& identity, std::size_t piece = 200) {
    for (std::size_t at = 0; at < identity.size(); at += piece) {
      const std::size_t size = std::min(piece, identity.size() - at);
      std::string part;
      part += static_cast<char>(at);
      part += static_cast<char>(at >> 8U);
      part.append(reinterpret_cast<const char*>(&identity[at]), size);
      if (say(rpc(0xF0, part)) != kNoError + strings(0xF0, {})) {
        return "refused";
      }
    }
    return say(rpc(0xF1));
  }

  MemoryStore store;
  Room room;
  Line line;
  Ticks clock;
  Provisioner provisioner{store, room, line, clock, {"0.1.0", "ESP32-S3"}};
};

}  // namespace

TEST_CASE("the example of Improv's page is read as it says") {
  improv::Parser parser;
  const std::string example = rpc(1, wifi("MyWirelessAP", "mysecurepassword"));
  CHECK(static_cast<unsigned char>(example[10]) == 0x1E);
  for (std::size_t i = 0; i + 1 < example.size(); ++i) {
    CHECK(parser.push(static_cast<std::uint8_t>(example[i])) == improv::Parser::Found::nothing);
  }
  REQUIRE(parser.push(static_cast<std::uint8_t>(example.back())) ==
          improv::Parser::Found::command);
  CHECK(parser.command().rpc == improv::Rpc::wifi);
  const auto read = read_wifi(parser.command().data, parser.command().size);
  CHECK(read->name == "MyWirelessAP");
  CHECK(read->password == "mysecurepassword");
}

TEST_CASE("packets are found among whatever else the line carries") {
  Claimed device;
  CHECK(device.say("boot log\nIMPIMPROIMPRO" + rpc(2)) == kNoError + kReady);
  std::string wrong = rpc(2);
  wrong.back() = static_cast<char>(wrong.back() + 1);
  CHECK(device.say(wrong) == kInvalid);
  CHECK(device.say(packet(3, "\x02\x05")) == kInvalid);  // it says 5 bytes and has none
  CHECK(device.say(packet(3, "\x02")) == kInvalid);
  CHECK(device.say(packet(1, "\x02")).empty());  // a state is not for the device
  CHECK(device.say(rpc(9)) == kUnknownCommand);
  CHECK(device.say(rpc(2, "x")) == kInvalid);
  CHECK(device.say(rpc(2)) == kNoError + kReady);
}

TEST_CASE("the device tells who it is and what networks it sees") {
  Claimed device;
  CHECK(device.say(rpc(3)) ==
        kNoError + strings(3, {"Noctis", "0.1.0", "ESP32-S3", "unclaimed"}));
  CHECK(device.say(rpc(4)) == kNoError);
  device.room.done = true;
  CHECK(device.wait(100) == strings(4, {"Home", "-48", "YES"}) +
                                strings(4, {"Caf\xC3\xA9", "-80", "NO"}) + strings(4, {}));
  CHECK(device.wait(100).empty());
}

TEST_CASE("a scan that never ends is answered with no network") {
  Claimed device;
  device.say(rpc(4));
  CHECK(device.wait(16'000) == strings(4, {}));
}

TEST_CASE("a network that can be joined is kept, and joined again after a boot") {
  Claimed device;
  device.room.there = true;
  device.provisioner.push(nullptr, 0);
  const std::string told = device.say(rpc(1, wifi("Home", "right password")));
  CHECK(told == kNoError + kProvisioning + kProvisioned + strings(1, {}));
  CHECK(device.say(rpc(2)) == kNoError + kProvisioned + strings(1, {}));
  Provisioner next(device.store, device.room, device.line, device.clock, {"0.1.0", "x"});
  device.room.in = false;
  next.begin();
  CHECK(next.has_wifi());
  CHECK(device.room.joined());
}

TEST_CASE("a network that cannot be joined is not kept, and the one before is joined again") {
  Claimed device;
  device.say(rpc(1, wifi("Home", "right password")));
  CHECK(device.say(rpc(1, wifi("Home", "wrong password"))) == kNoError + kProvisioning);
  CHECK(device.wait(19'000).empty());
  CHECK(device.wait(2000) == kUnable + kReady);
  CHECK(device.say(rpc(2)) == kNoError + kProvisioned + strings(1, {}));
  const auto& kept = device.store.values.at("wifi");
  CHECK(std::string(kept.begin(), kept.end()) == wifi("Home", "right password"));
  CHECK(device.say(rpc(1, wifi("Home", "short"))) == kInvalid);
}

TEST_CASE("a network that went is joined again once it is back, and not tried all the time") {
  Claimed device;
  device.say(rpc(1, wifi("Home", "right password")));
  device.room.there = false;
  const int before = device.room.joins;
  for (int i = 0; i < 600; ++i) {
    device.wait(1000);
  }
  CHECK(device.room.joins - before >= 9);
  CHECK(device.room.joins - before <= 10);
}

TEST_CASE("an identity comes in parts, is kept whole, and counts from the next boot on") {
  Claimed device;
  IdentityFields fields;
  fields.password.clear();
  fields.ca = std::string(600, 'A');
  fields.certificate = std::string(700, 'C');
  fields.key = std::string(138, 'K');
  const Written identity = written(fields);
  CHECK(device.bring(identity) == kNoError + strings(0xF1, {"home/bed-1"}));
  CHECK_FALSE(device.provisioner.restart_due());  // the answer goes out first
  device.wait(Provisioner::kRestartMs);
  CHECK(device.provisioner.restart_due());
  CHECK_FALSE(device.provisioner.identity());
  CHECK(device.store.values.at("identity") == identity);
  Provisioner next(device.store, device.room, device.line, device.clock, {"0.1.0", "x"});
  next.begin();
  REQUIRE(next.identity());
  CHECK(next.identity()->device == "bed-1");
  CHECK_FALSE(next.restart_due());
}

TEST_CASE("what is no identity changes nothing") {
  Claimed device;
  const Written good = written({});
  REQUIRE(device.bring(good) == kNoError + strings(0xF1, {"home/bed-1"}));
  Written wrong = good;
  wrong[20] ^= 1;
  CHECK(device.bring(wrong) == kInvalid);
  CHECK(device.say(rpc(0xF1)) == kInvalid);  // nothing came before it
  CHECK(device.say(rpc(0xF0, std::string("\x05\x00zzz", 5))) == kInvalid);  // no part before it
  CHECK(device.say(rpc(0xF0, "\x01")) == kInvalid);
  CHECK(device.bring(Written(kMostIdentity + 1, 'x')) == "refused");
  CHECK(device.store.values.at("identity") == good);
  device.store.full = true;
  CHECK(device.bring(good) == packet(2, "\xFF") + "\n");
}

TEST_CASE("wherever the power is lost within a claim, the device is claimed or it is not") {
  const Written identity = written({});
  const std::string part = std::string(2, '\0') + std::string(identity.begin(), identity.end());
  const std::string claim =
      rpc(1, wifi("Home", "right password")) + rpc(0xF0, part) + rpc(0xF1);
  for (std::size_t size = 0; size <= claim.size(); ++size) {
    for (int writes = 0; writes <= 2; ++writes) {
      CAPTURE(size);
      CAPTURE(writes);
      Claimed device;
      device.store.writes_left = writes;
      for (std::size_t i = 0; i < size; ++i) {
        device.say(claim.substr(i, 1));
      }
      device.store.power_on();
      Provisioner next(device.store, device.room, device.line, device.clock, {"0.1.0", "x"});
      next.begin();
      CHECK(next.identity().has_value() == (size == claim.size() && writes == 2));
      CHECK(next.has_wifi() == (device.store.values.count("wifi") == 1));
    }
  }
}

TEST_CASE("whoever asks over the line hears how the way to the platform is") {
  Claimed device;
  const auto link = [](const char* name, const char* state, const char* why) {
    return kNoError + strings(0xF2, {name, state, why});
  };
  CHECK(device.say(rpc(0xF2)) == link("unclaimed", "unclaimed", ""));
  device.bring(written({}));
  Provisioner next(device.store, device.room, device.line, device.clock, {"0.1.0", "x"});
  next.begin();
  const auto ask = [&] {
    const std::string bytes = rpc(0xF2);
    next.push(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    return device.line.take();
  };
  CHECK(ask() == link("home/bed-1", "no_wifi", ""));
  const std::string network = wifi("Home", "right password");
  next.try_wifi(reinterpret_cast<const std::uint8_t*>(network.data()), network.size());
  next.set_platform(false, "it does not answer");
  CHECK(ask() == link("home/bed-1", "no_platform", "it does not answer"));
  next.set_platform(true, "");
  CHECK(ask() == link("home/bed-1", "up", ""));
  next.poll();
  device.room.there = false;
  CHECK(ask() == link("home/bed-1", "no_wifi", "it cannot be joined"));
}
