// Commands that must not be done twice: written down before they are done, answered after.
#include <doctest/doctest.h>

#include <string>

#include "scripted_platform.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

const std::string kOne = "00000000-0000-4000-8000-000000000001";
const std::string kTwo = "00000000-0000-4000-8000-000000000002";

std::string command(const std::string& id, const std::string& rest) {
  return R"({"id":")" + id + R"(","command":)" + rest + "}";
}

// A device over its boots.
struct Life : CourierBench {
  explicit Life(std::uint32_t sectors = 8) : CourierBench(sectors) {
    store.unpowered = [this] { return nor.dead(); };
    boot();
  }

  void boot(std::uint32_t owner = 1) {
    nor.power_on();
    store.power_on();
    device.reset();
    own.emplace(nor, SpoolIdentity{owner, 2, random()});
    device.emplace(*own, uplink, clock, wall_clock, store, board, "test 1", 5);
    found = own->mount();
    device->begin(found);
    device->on_state(true);
    device->poll();
  }
  void order(const std::string& text) {
    device->on_message(DownChannel::command, reinterpret_cast<const std::uint8_t*>(text.data()),
                       text.size());
    device->poll();
  }
  std::string answers() const {
    std::string all;
    for (const Published& message : uplink.of(Channel::result)) {
      all += message.text + "\n";
    }
    return all;
  }
  void work() {
    for (int i = 0; i < 100; ++i) {
      device->poll();
    }
  }
  std::string erase_command(const std::string& id) const {
    char stream[20];
    std::snprintf(stream, sizeof stream, "%016llx",
                  static_cast<unsigned long long>(own->stream()));
    return command(id, std::string(R"("erase","stream":")") + stream + "\"");
  }
  void fill(int epochs) {
    for (int i = 0; i < epochs; ++i) {
      own->append(random_epoch(random), {static_cast<std::uint32_t>(30 * i), 0, {}});
    }
  }

  std::optional<Spool> own;
  std::optional<Courier> device;
  Spool::Mount found{};
};

std::string done(const std::string& id) {
  return R"({"id":")" + id + R"(","state":"done","detail":{}})" + "\n";
}

}  // namespace

TEST_CASE("a reboot that comes again after the boot is answered and not done again") {
  Life life;
  life.order(command(kOne, "\"reboot\""));
  life.order(command(kOne, "\"reboot\""));
  CHECK(life.board.restarts == 1);
  CHECK(life.answers().empty());
  life.boot();
  CHECK(life.answers() == done(kOne));
  for (int i = 0; i < 5; ++i) {
    life.order(command(kOne, "\"reboot\""));
    life.boot();
  }
  CHECK(life.board.restarts == 1);
}

TEST_CASE("a power cut between the note of a reboot and the reboot costs nothing but itself") {
  for (const int cut : {0, 1}) {
    Life life;
    life.store.writes_left = cut;
    life.order(command(kOne, "\"reboot\""));
    life.boot();
    CHECK(life.answers() == (cut == 0 ? "" : done(kOne)));
    life.order(command(kOne, "\"reboot\""));
    life.boot();
    CHECK(life.answers().find(kOne) != std::string::npos);
    CHECK(life.board.restarts == (cut == 0 ? 2 : 1));
  }
}

TEST_CASE("an older reboot is remembered behind three newer commands") {
  Life life;
  life.order(command(kOne, "\"reboot\""));
  life.boot();
  for (char digit = '2'; digit < '5'; ++digit) {
    std::string id = kOne;
    id.back() = digit;
    life.order(command(id, "\"identify\",\"seconds\":5"));
  }
  CHECK(life.board.identified == std::vector<std::uint32_t>{5, 5, 5});
  life.order(command(kOne, "\"reboot\""));
  CHECK(life.board.restarts == 1);
  CHECK(life.uplink.of(Channel::result).back().text + "\n" == done(kOne));
}

TEST_CASE("a device shows itself for as long as it is told, and half a minute by itself") {
  Life life;
  life.order(command(kOne, "\"identify\""));
  life.order(command(kOne, "\"identify\""));
  life.order(command(kTwo, "\"identify\",\"seconds\":600"));
  CHECK(life.board.identified == std::vector<std::uint32_t>{30, 600});
  CHECK(life.answers().find(done(kTwo)) != std::string::npos);
  const std::string three = "00000000-0000-4000-8000-000000000003";
  for (const char* seconds : {"601", "\"5\"", "null"}) {
    Life other;
    other.order(command(three, std::string("\"identify\",\"seconds\":") + seconds));
    CHECK(other.board.identified.empty());
    CHECK(other.answers().find("malformed") != std::string::npos);
  }
}

TEST_CASE("what the store does not take is not done") {
  Life life;
  life.fill(3);
  life.store.full = true;
  life.order(command(kOne, "\"reboot\""));
  life.order(life.erase_command(kTwo));
  CHECK(life.board.restarts == 0);
  CHECK_FALSE(life.device->erasing());
  CHECK(life.answers().find(R"("reason":"store")") != std::string::npos);
}

TEST_CASE(
    "an erase of the stream that is there leaves nothing of it, and answers after a boot") {
  Life life;
  life.fill(700);
  const std::uint64_t stream = life.own->stream();
  life.order(R"({"id":"x"})");
  life.device->on_message(DownChannel::config,
                          reinterpret_cast<const std::uint8_t*>(R"({"version":9,"led":false})"),
                          25);
  const std::string erase = life.erase_command(kOne);
  life.order(erase);
  CHECK(life.device->erasing());
  life.work();
  CHECK_FALSE(life.device->erasing());
  CHECK(life.board.restarts == 1);
  CHECK(life.answers().empty());
  life.boot();
  CHECK(life.found == Spool::Mount::fresh);
  CHECK(life.own->stream() != stream);
  CHECK_FALSE(life.own->holds(stream));
  CHECK(life.device->settings().led);
  CHECK(life.answers() == done(kOne));
  life.fill(3);
  life.order(erase);
  CHECK(life.own->backlog() == 3);
}

TEST_CASE("an erase that names another stream does nothing") {
  Life life;
  life.fill(10);
  life.order(command(kOne, R"("erase","stream":"00000000000000ab")"));
  CHECK(life.answers().find("foreign_stream") != std::string::npos);
  CHECK(life.own->backlog() == 10);
  life.order(command(kTwo, "\"erase\""));
  CHECK(life.answers().find("malformed") != std::string::npos);
  CHECK_FALSE(life.device->erasing());
}

TEST_CASE("an erase goes on wherever the power was cut, and ends with an answer") {
  for (int cut = 0; cut < 12; ++cut) {
    CAPTURE(cut);
    Life life;
    life.fill(700);
    const std::uint64_t stream = life.own->stream();
    life.order(R"({"id":"x"})");
    life.nor.cut_after(cut);
    const std::string erase = life.erase_command(kOne);
    life.order(erase);
    for (int i = 0; i < 4; ++i) {
      life.work();
      life.boot();
      life.order(erase);
    }
    CHECK(life.found == Spool::Mount::fresh);
    CHECK_FALSE(life.own->holds(stream));
    CHECK(life.answers().find(done(kOne)) != std::string::npos);
  }
}

TEST_CASE("a chip without a spool is nobody's to erase at a boot") {
  Life life;
  life.fill(10);
  life.order(command(kOne, "\"identify\""));
  const std::uint8_t zero = 0;
  for (std::uint32_t sector = 0; sector < 8; ++sector) {
    life.nor.program(sector * Flash::kSectorSize, &zero, 1);
  }
  life.boot();
  CHECK(life.found == Spool::Mount::unreadable);
  CHECK_FALSE(life.device->erasing());
}
