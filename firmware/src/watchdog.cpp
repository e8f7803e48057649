#include "watchdog.hpp"

#include <esp_idf_version.h>
#include <esp_task_wdt.h>

namespace noctis::esp {
namespace {

// The longest that is waited for: a client that is closed while it connects. esp-mqtt holds its
// lock over DNS (some 14 s without an answer), TCP, TLS and CONNACK (10 s each at most).
constexpr unsigned kTimeoutS = 60;

}  // namespace

void start_watchdog() {
#if ESP_IDF_VERSION_MAJOR >= 5
  esp_task_wdt_config_t config{};
  config.timeout_ms = kTimeoutS * 1000;
  config.trigger_panic = true;
  // Arduino has begun it already, or has not: that depends on how its core was built.
  if (esp_task_wdt_reconfigure(&config) != ESP_OK) {
    esp_task_wdt_init(&config);
  }
#else
  esp_task_wdt_init(kTimeoutS, true);
#endif
  esp_task_wdt_add(nullptr);
}

void feed_watchdog() { esp_task_wdt_reset(); }

}  // namespace noctis::esp
