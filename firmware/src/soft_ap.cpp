#include "soft_ap.hpp"

#include <Arduino.h>
#include <WiFi.h>

namespace noctis::esp {
namespace {

constexpr int kChannel = 1;  // the joined network's, once there is one
constexpr int kShown = 0;    // not hidden
constexpr int kGuests = 2;

}  // namespace

bool SoftAp::open(const char* name, const char* password) {
  if (!WiFi.mode(WIFI_AP_STA) || !WiFi.softAP(name, password, kChannel, kShown, kGuests)) {
    Serial.printf("noctis: no network of its own can be opened\n");
    return false;
  }
  Serial.printf("noctis: network %s, password %s, page http://%s\n", name, password, kAddress);
  return true;
}

void SoftAp::close() {
  WiFi.softAPdisconnect(true);  // the station stays
  Serial.printf("noctis: its own network is closed\n");
}

}  // namespace noctis::esp
