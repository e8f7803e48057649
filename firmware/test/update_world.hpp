// A board with two slots of firmware, a broker, a server of images and a power supply, in
// simulated time. Whatever image the boot loader picks must be one of those there are, whole.
#pragma once

#include <cjson/cJSON.h>
#include <doctest/doctest.h>
#include <sodium.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flash_slots.hpp"
#include "memory_store.hpp"
#include "noctis/update.hpp"
#include "scripted_platform.hpp"
#include "sodium_crypto.hpp"

namespace noctis::test {

inline std::string hex(const std::uint8_t* bytes, std::size_t size) {
  std::string text(2 * size + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes, size);
  text.pop_back();
  return text;
}

// Who signs.
struct Signer {
  Signer() {
    REQUIRE(sodium_init() >= 0);
    crypto_sign_keypair(open.data(), secret.data());
  }
  std::string id() const {
    Sha256 hash{};
    crypto_hash_sha256(hash.data(), open.data(), open.size());
    return hex(hash.data(), 8);
  }
  std::string sign(const std::string& text) const {
    Signature signature{};
    crypto_sign_detached(signature.data(), nullptr,
                         reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                         secret.data());
    return hex(signature.data(), signature.size());
  }

  PublicKey open{};
  std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> secret{};
};

// How an image behaves once it runs.
enum class Nature : std::uint8_t {
  sound,
  mute,     // never reaches the broker
  crashes,  // at once
  blind,    // mounts a spool of its own
};

struct Image {
  Image(std::uint32_t number, std::size_t size, Nature how = Nature::sound)
      : build(number), nature(how), bytes(size) {
    std::mt19937_64 random(number);
    for (std::uint8_t& byte : bytes) {
      byte = static_cast<std::uint8_t>(random());
    }
  }
  Sha256 hash() const {
    Sha256 hash{};
    crypto_hash_sha256(hash.data(), bytes.data(), bytes.size());
    return hash;
  }
  // Whether it lies in the slot.
  bool in(Flash& slot) const {
    std::vector<std::uint8_t> there(bytes.size());
    slot.read(0, there.data(), there.size());
    return there == bytes;
  }

  std::uint32_t build;
  Nature nature;
  std::vector<std::uint8_t> bytes;
};

// The manifest of an image; members that a test wants otherwise it replaces.
struct Release {
  explicit Release(const Image& image)
      : manifest(R"({"target":"host","version":"0.)" + std::to_string(image.build) +
                 R"(.0","build":)" + std::to_string(image.build) +
                 R"(,"least":0,"floor":0,"downgrade":0,"expires":1800000000,"size":)" +
                 std::to_string(image.bytes.size()) + R"(,"sha256":")" +
                 hex(image.hash().data(), 32) + "\"}") {}
  Release& with(const std::string& part, const std::string& other) {
    const std::size_t at = manifest.find(part);
    REQUIRE(at != std::string::npos);
    manifest.replace(at, part.size(), other);
    return *this;
  }
  std::string offer(const Signer& signer, int number = 1) const {
    return first_line(number, signer.id(), signer.sign(manifest)) + "\n" + manifest;
  }
  static std::string first_line(int number, const std::string& key,
                                const std::string& signature) {
    return R"({"rollout":")" + rollout(number) +
           R"(","url":"https://noctis.example/image","key":")" + key + R"(","signature":")" +
           signature + "\"}";
  }
  static std::string rollout(int number) {
    char id[37];
    std::snprintf(id, sizeof id, "00000000-0000-4000-8000-%012d", number);
    return id;
  }

  std::string manifest;
};

// Fails in the middle of the write after so many more, whatever is written to.
struct Power {
  bool cut_now() {
    ++writes;
    dead = left == 0;
    left -= left > 0 ? 1 : 0;
    return dead;
  }
  void on() {
    dead = false;
    left = -1;
  }

  long left = -1;
  long writes = 0;
  bool dead = false;
};

class PoweredFlash : public Flash {
 public:
  PoweredFlash(std::uint32_t sectors, std::uint64_t seed, Power& power)
      : nor(sectors, seed), power_(power) {}

  std::uint32_t sectors() const override { return nor.sectors(); }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override {
    nor.read(address, to, size);
  }
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override {
    return swallowed() || nor.program(address, from, size);
  }
  bool erase(std::uint32_t sector) override { return swallowed() || nor.erase(sector); }

  TornNor nor;

 private:
  bool swallowed() {
    if (power_.dead) {
      return true;
    }
    if (power_.cut_now()) {
      nor.cut_after(0);
    }
    return false;
  }
  Power& power_;
};

struct PoweredStore : MemoryStore {
  explicit PoweredStore(Power& its) : power(its) {}
  bool put(const char* name, const std::uint8_t* from, std::size_t size) override {
    if (power.dead) {
      return true;
    }
    if (power.cut_now() && !done_when_cut) {
      return true;
    }
    return MemoryStore::put(name, from, size);
  }
  Power& power;
  bool done_when_cut = false;
};

// Serves one image as a server does whose bytes take their time.
struct ScriptedSource : ImageSource {
  void open(const char* url, std::uint32_t offset) override {
    opened.emplace_back(offset);
    address = url;
    at = offset;
  }
  int read(std::uint8_t* to, std::size_t size) override {
    if (answer != 0) {
      return answer;
    }
    if (at == fails_at) {
      fails_at = kNowhere;
      return kFailed;
    }
    if (wait || at < stalls_below) {
      wait = false;
      return kNothingYet;
    }
    if (at >= bytes.size()) {
      return kEnded;
    }
    const std::size_t count = std::min({size, bytes.size() - at, std::size_t{200}});
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, to);
    at += count;
    wait = at % 1000 < 200;
    return static_cast<int>(count);
  }
  void close() override { ++closed; }
  const char* trouble() const override { return why.c_str(); }

  static constexpr std::size_t kNowhere = ~std::size_t{0};
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint32_t> opened;  // at which offsets
  std::string address;
  int closed = 0;
  std::size_t at = 0;
  std::size_t fails_at = kNowhere;
  std::size_t stalls_below = 0;
  int answer = 0;  // instead of bytes
  std::string why;
  bool wait = false;
};

struct Told {
  std::string rollout, state, reason;
  int build;
  int percent;
};

// What survives a boot, and the platform.
class World {
 public:
  static constexpr std::uint32_t kSectors = 24;  // of a slot
  static constexpr std::uint64_t kUtcMs = 1'700'000'000'000;

  explicit World(const Image& first) : images{first} {
    for (std::size_t at = 0; at < first.bytes.size(); at += Flash::kPageSize) {
      slots[0].nor.program(static_cast<std::uint32_t>(at), &first.bytes[at],
                           std::min<std::size_t>(Flash::kPageSize, first.bytes.size() - at));
    }
  }

  // The platform retains an offer of an image that the server has.
  void offer(const Image& image, const std::string& message) {
    images.push_back(image);
    source.bytes = image.bytes;
    retained = message;
  }
  void offer(const Image& image, int number = 1) {
    offer(image, Release(image).offer(signer, number));
  }

  Power power;
  std::array<PoweredFlash, 2> slots{PoweredFlash{kSectors, 1, power},
                                    PoweredFlash{kSectors, 2, power}};
  PoweredFlash ota_data{2, 3, power};
  PoweredFlash nor{8, 4, power};
  PoweredStore store{power};
  ScriptedSource source;
  Signer signer;
  SodiumCrypto crypto;
  std::vector<Image> images;
  std::string retained;
  std::vector<Told> told;
  bool broker = true;
  bool knows_time = true;
  std::uint32_t epochs = 0;  // that a spool has taken for good
  int boots = 0;
  std::optional<std::uint32_t> build;          // that ran last
  ResetReason reason = ResetReason::power_on;  // of the next boot
  std::uint64_t trial_ms = Update::kTrialMs;
};

// One boot: from the boot loader's choice to a restart or the end of power.
class Boot {
 public:
  explicit Boot(World& world) : world_(world) {
    ++world.boots;
    world.power.on();
    for (PoweredFlash* flash :
         {&world.slots[0], &world.slots[1], &world.ota_data, &world.nor}) {
      flash->nor.power_on();
    }
  }

  // False if the power failed before anything ran.
  bool start(long cut_after = -1) {
    world_.power.left = cut_after;
    host::OtaData ota_data(world_.ota_data);
    slot_ = ota_data.boot();
    if (world_.power.dead) {
      return false;
    }
    const auto image =
        std::find_if(world_.images.begin(), world_.images.end(),
                     [&](const Image& it) { return it.in(world_.slots[slot_]); });
    REQUIRE(image != world_.images.end());  // else nothing boots any more
    image_ = &*image;
    world_.build = image_->build;
    const ResetReason why = std::exchange(world_.reason, ResetReason::power_on);
    if (image_->nature == Nature::crashes) {
      return true;
    }
    make_firmware(why);
    return true;
  }

  // Lives for so long; false where the firmware ended before.
  bool live(double seconds) {
    const auto end = clock.now_ms + static_cast<std::uint64_t>(1000 * seconds);
    while (clock.now_ms < end) {
      if (world_.power.dead) {
        return false;
      }
      if (image_->nature == Nature::crashes || update->restart_due()) {
        const bool crashes = image_->nature == Nature::crashes;
        world_.reason = crashes ? ResetReason::panic : ResetReason::software;
        return false;
      }
      step();
    }
    return true;
  }
  const Image& image() const { return *image_; }
  // The lines of its log.
  std::string said() {
    log_.on_state(true);
    log_.poll();
    return told_.sent.empty() ? "" : told_.sent.back().text;
  }

  SimulatedClock clock;
  ScriptedUplink uplink{clock};
  std::unique_ptr<Spool> spool;
  std::unique_ptr<Update> update;

 private:
  void make_firmware(ResetReason why) {
    const SpoolIdentity identity{image_->nature == Nature::blind ? 9U : 1U, 2,
                                 0x5EED5EED5EED5EEDULL + image_->build};
    spool = std::make_unique<Spool>(world_.nor, identity);
    spool->mount();
    if (image_->nature != Nature::blind) {
      REQUIRE(count_epochs() >= world_.epochs);  // the nights are there
    }
    if (world_.knows_time) {
      wall_clock_.learn(ClockSource::sntp, World::kUtcMs);
    }
    slots_ =
        std::make_unique<host::FlashSlots>(world_.slots[1 - slot_], world_.ota_data, slot_);
    version_ = "0." + std::to_string(image_->build) + ".0";
    UpdateKeys keys;
    keys.keys[0] = world_.signer.open;
    keys.count = 1;
    update = std::make_unique<Update>(
        Update::Parts{*slots_, world_.source, world_.crypto, world_.store, *spool, uplink,
                      clock, wall_clock_, log_},
        FirmwareId{"host", version_.c_str(), image_->build}, keys, 5, world_.trial_ms);
    update->begin(why);
  }
  std::uint32_t count_epochs() {
    SpoolReader reader(*spool, 0, spool->next_seq(), SpoolReader::Which::all);
    EpochRecord record{};
    std::uint32_t count = 0;
    while (reader.next(record)) {
      ++count;
    }
    return count;
  }
  void step() {
    clock.now_ms += 50;
    const bool reaches = world_.broker && image_->nature != Nature::mute;
    if (up_ != (reaches && clock.now_ms > 500)) {
      up_ = !up_;
      update->on_state(up_);
      if (up_ && !world_.retained.empty()) {
        hear(world_.retained);
      }
    }
    if (clock.now_ms % 30'000 == 0) {
      const auto seq = spool->append(random_epoch(random_), {tick_s_ += 30, 0, {}});
      if (seq && !world_.power.dead) {
        world_.epochs += image_->nature == Nature::blind ? 0 : 1;
        update->epoch_kept(*seq);
      }
    }
    update->poll();
    acknowledge();
  }
  // The broker's, and what the platform makes of the reports.
  void acknowledge() {
    while (seen_ < uplink.sent.size() && !world_.power.dead) {
      const Published message = uplink.sent[seen_++];
      REQUIRE(message.channel == Channel::ota);
      update->on_ack(message.id);
      const std::unique_ptr<cJSON, decltype(&cJSON_Delete)> json(
          cJSON_Parse(message.text.c_str()), cJSON_Delete);
      REQUIRE(json);
      const auto text = [&](const char* name) {
        const cJSON* item = cJSON_GetObjectItem(json.get(), name);
        return std::string(cJSON_IsString(item) != 0 ? item->valuestring : "");
      };
      const auto number = [&](const char* name) {
        const cJSON* item = cJSON_GetObjectItem(json.get(), name);
        return cJSON_IsNumber(item) != 0 ? item->valueint : -1;
      };
      world_.told.push_back(
          {text("rollout"), text("state"), text("reason"), number("build"), number("percent")});
    }
  }

 public:
  void hear(const std::string& message) {
    update->on_message(reinterpret_cast<const std::uint8_t*>(message.data()), message.size());
  }

 private:
  World& world_;
  unsigned slot_ = 0;
  const Image* image_ = nullptr;
  ScriptedUplink told_{clock};
  Log log_{told_, clock};
  WallClock wall_clock_{clock, 1'600'000'000};
  std::unique_ptr<host::FlashSlots> slots_;
  std::string version_;
  std::mt19937_64 random_{11};
  std::uint32_t tick_s_ = 0;
  std::size_t seen_ = 0;
  bool up_ = false;
};

// Boots and boots again until nothing ends the firmware for so long.
inline void live(World& world, double seconds = 200) {
  for (int i = 0; i < 20; ++i) {
    Boot boot(world);
    if (boot.start() && boot.live(seconds)) {
      return;
    }
  }
  FAIL("a boot loop");
}

inline std::string last_state(const World& world) {
  return world.told.empty() ? "" : world.told.back().state;
}

}  // namespace noctis::test
