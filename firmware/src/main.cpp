// The firmware of the ESP32: adapters around the core's Bedside, and the loop that drives them.
// Never compiled or run on a board so far: docs/first-device.md.
#include <Arduino.h>

#include <array>
#include <optional>

#include "esp_board.hpp"
#include "esp_clock.hpp"
#include "esp_mqtt.hpp"
#include "esp_partition.hpp"
#include "https_source.hpp"
#include "i2c_wire.hpp"
#include "noctis/bedside.hpp"
#include "noctis/image_id.hpp"
#include "noctis/portal.hpp"
#include "noctis/provisioner.hpp"
#include "nvs_store.hpp"
#include "ota_slots.hpp"
#include "pins.hpp"
#include "portal_sockets.hpp"
#include "serial_ports.hpp"
#include "sodium_crypto.hpp"
#include "soft_ap.hpp"
#include "spi_bus.hpp"
#include "watchdog.hpp"
#include "wifi_radio.hpp"

#ifndef NOCTIS_VERSION
#define NOCTIS_VERSION "0.1.0"
#endif
#ifndef NOCTIS_BUILD
#define NOCTIS_BUILD 1
#endif

SET_LOOP_TASK_STACK_SIZE(16 * 1024);

namespace {

using namespace noctis;

constexpr std::uint32_t kStepMs = 5;

const volatile ImageId kImage{"noctis-image-1\n", NOCTIS_BUILD, NOCTIS_TARGET, NOCTIS_VERSION};
constexpr FirmwareId kFirmware{NOCTIS_TARGET, NOCTIS_VERSION, NOCTIS_BUILD};
constexpr const char* kName = "noctis-" NOCTIS_TARGET " " NOCTIS_VERSION;

esp::EspClock clock_of_board;
esp::EspBoard board;
esp::UsbLine line;
esp::RadarUart radar;
esp::I2cWire i2c;
esp::WifiRadio wifi;
esp::NvsStore identity_store;
esp::NvsStore store;
esp::OtaSlots slots;
SodiumCrypto crypto;
Provisioner provisioner{
    identity_store, wifi, line, clock_of_board, {NOCTIS_VERSION, NOCTIS_TARGET}};

esp::SoftAp access_point;
Portal portal{{provisioner, access_point, store, clock_of_board, esp::SoftAp::kAddress}};
PortalSockets portal_sockets{esp::SoftAp::kAddress, 80, 53};

// Where the epochs go.
#if NOCTIS_SPOOL_W25Q64
esp::SpiBus spi;
W25q64 flash{spi};

const char* start_flash() {
  spi.begin();
  switch (flash.start()) {
    case W25q64::Start::ready:
      return nullptr;
    case W25q64::Start::absent:
      return "no W25Q64 answers: look at its wires and its power";
    case W25q64::Start::wrong_chip:
      return "the flash chip is no W25Q64 or alike";
    case W25q64::Start::locked:
      return "the flash chip protects its sectors";
    case W25q64::Start::busy:
      break;
  }
  return "the flash chip never ends what it was doing";
}

std::uint32_t flash_id() { return flash.jedec_id(); }
#else
esp::EspPartition partition;
PartitionFlash flash{partition};

const char* start_flash() {
  partition.open(
      esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, "spool"));
  return flash.start();
}

std::uint32_t flash_id() { return 0; }
#endif

// What there is once somebody claimed the device.
struct Claimed {
  explicit Claimed(const Identity& identity)
      : topics(identity.tenant, identity.device),
        client(identity, topics),
        source(identity.ca),
        bedside({flash, esp::chip_tag(flash_id()), client, i2c, clock_of_board, store, board,
                 slots, source, crypto, esp::random_bits()},
                identity, topics, kFirmware, kName) {}

  Topics topics;
  esp::EspMqttClient client;
  esp::HttpsSource source;
  Bedside bedside;
};
std::optional<Claimed> claimed;

void complain(const char* what) {
  if (what != nullptr) {
    Serial.printf("noctis: %s\n", what);
  }
}

Sign sign_of_now() {
  if (!provisioner.identity()) {
    return Sign::unclaimed;
  }
  return claimed->bedside.sign(flash.sound(), wifi.joined());
}

void tell_platform() {
  if (claimed) {
    const bool failed = claimed->bedside.session().failures() > 0;
    provisioner.set_platform(claimed->bedside.session().up(),
                             failed ? "it does not answer" : "");
  }
}

void shine() {
  const std::uint64_t now_ms = clock_of_board.monotonic_ms();
  if (board.identifying(now_ms)) {
    board.set_light(lit_to_identify(now_ms));
  } else {
    board.set_light(board.light_allowed() && lit(sign_of_now(), now_ms));
  }
}

void restart_where_due() {
  const bool update = claimed && claimed->bedside.restart_due();
  if (!update && !provisioner.restart_due()) {
    return;
  }
  if (claimed) {
    claimed->bedside.close();
  }
  board.restart();
}

}  // namespace

void setup() {
  // First of all: an image on trial that hangs here must fall, too.
  esp::start_watchdog();
  board.begin();
  line.begin();
  radar.begin();
  i2c.begin();
  Serial.printf("noctis: %s, build %lu\n", kName, static_cast<unsigned long>(kImage.build));
  if (!identity_store.open("identity", "noctis")) {
    complain("the partition 'identity' cannot be opened: flash the partition table again");
  }
  if (!store.open("nvs", "noctis")) {
    complain("the partition 'nvs' cannot be opened: what is ordered will be forgotten");
  }
  complain(start_flash());
  complain(slots.begin());
  wifi.begin();
  provisioner.begin();
  if (provisioner.identity()) {
    claimed.emplace(*provisioner.identity());
    if (claimed->bedside.boot() == Spool::Mount::unreadable) {
      complain(
          "the flash holds something that is no spool: erase it, see docs/first-device.md");
    }
  }
  pinMode(NOCTIS_BUTTON, INPUT_PULLUP);
  portal.begin(esp::chip_tag(0), esp::random_bits(), esp::random_bits());
}

void loop() {
  static bool asked_time = false;
  std::array<std::uint8_t, 256> bytes{};
  esp::feed_watchdog();
  while (const std::size_t size = line.read(bytes.data(), bytes.size())) {
    provisioner.push(bytes.data(), size);
  }
  provisioner.poll();
  portal.poll(digitalRead(NOCTIS_BUTTON) == LOW);
  portal_sockets.poll(portal);
  const bool network = wifi.joined();
  if (network && !asked_time) {
    esp::start_sntp();
    asked_time = true;
  }
  while (const std::size_t size = radar.read(bytes.data(), bytes.size())) {
    if (claimed) {
      claimed->bedside.radar(bytes.data(), size);
    }
  }
  if (claimed) {
    claimed->client.hand_over(claimed->bedside.session());
    esp::hear_sntp(claimed->bedside.wall_clock());
    claimed->bedside.step(network);
  }
  tell_platform();
  shine();
  restart_where_due();
  delay(kStepMs);
}
