#include "wifi_radio.hpp"

#include <WiFi.h>
#include <esp_wifi.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>

namespace noctis::esp {
namespace {

constexpr int kTries = 3;

// Shared with the task of Wi-Fi's events.
std::atomic<bool> has_address{false};
std::atomic<int> tries_left{0};

// Arduino's own way to try again never ends where the network is not there: the radio hunts
// through the channels, no guest of the access point stays, and no scan begins.
void on_lost(arduino_event_id_t, arduino_event_info_t info) {
  has_address = false;
  const bool by_us = info.wifi_sta_disconnected.reason == WIFI_REASON_ASSOC_LEAVE;
  if (!by_us && tries_left.fetch_sub(1) > 0) {
    esp_wifi_connect();
  }
}

// While it tries, it takes no other network's name and no order to scan.
void give_up_trying() {
  tries_left = 0;
  WiFi.disconnect();
  has_address = false;
}

void on_address(arduino_event_id_t, arduino_event_info_t) {
  has_address = true;
  tries_left = kTries;
}

}  // namespace

void WifiRadio::begin() {
  WiFi.onEvent(on_address, ARDUINO_EVENT_WIFI_STA_GOT_IP);
  WiFi.onEvent(on_lost, ARDUINO_EVENT_WIFI_STA_DISCONNECTED);
  WiFi.persistent(false);  // the provisioner keeps the network
  WiFi.mode(WIFI_STA);
  WiFi.setAutoReconnect(false);  // on_lost() and the provisioner do that
}

void WifiRadio::join(const WifiSettings& wifi) {
  char name[33];
  char password[65];
  std::snprintf(name, sizeof name, "%.*s", static_cast<int>(wifi.name.size()),
                wifi.name.data());
  std::snprintf(password, sizeof password, "%.*s", static_cast<int>(wifi.password.size()),
                wifi.password.data());
  give_up_trying();
  tries_left = kTries;
  WiFi.begin(name, wifi.password.empty() ? nullptr : password);
}

bool WifiRadio::joined() { return has_address && WiFi.status() == WL_CONNECTED; }

void WifiRadio::scan() {
  if (!joined()) {
    give_up_trying();
  }
  WiFi.scanDelete();
  WiFi.scanNetworks(true);
}

int WifiRadio::scanned() {
  const int count = WiFi.scanComplete();
  if (count == WIFI_SCAN_FAILED) {
    return 0;
  }
  return count;  // WIFI_SCAN_RUNNING is -1
}

Radio::Network WifiRadio::network(int index) {
  const auto at = static_cast<std::uint8_t>(index);
  Network network{};
  std::snprintf(network.name.data(), network.name.size(), "%s", WiFi.SSID(at).c_str());
  network.rssi = static_cast<std::int8_t>(std::clamp<int>(WiFi.RSSI(at), -128, 0));
  network.secured = WiFi.encryptionType(at) != WIFI_AUTH_OPEN;
  return network;
}

}  // namespace noctis::esp
