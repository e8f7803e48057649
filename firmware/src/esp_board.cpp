#include "esp_board.hpp"

#include <Arduino.h>
#include <WiFi.h>
#include <esp_random.h>
#include <esp_system.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

#include <algorithm>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::esp {

void EspBoard::begin() {
  pinMode(NOCTIS_LED, OUTPUT);
  digitalWrite(NOCTIS_LED, LOW);
}

void EspBoard::set_light(bool on) {
  if (on != lit_) {
    digitalWrite(NOCTIS_LED, on ? HIGH : LOW);
    lit_ = on;
  }
}

void EspBoard::restart() { esp_restart(); }

void EspBoard::identify(std::uint32_t seconds) {
  const auto now_ms = static_cast<std::uint64_t>(esp_timer_get_time()) / 1000;
  identify_until_ms_ = now_ms + std::uint64_t{1000} * seconds;
}

ResetReason EspBoard::reset_reason() const {
  switch (esp_reset_reason()) {
    case ESP_RST_POWERON:
      return ResetReason::power_on;
    case ESP_RST_SW:
      return ResetReason::software;
    case ESP_RST_PANIC:
      return ResetReason::panic;
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
      return ResetReason::watchdog;
    case ESP_RST_BROWNOUT:
      return ResetReason::brownout;
    case ESP_RST_EXT:
      return ResetReason::external;
    case ESP_RST_DEEPSLEEP:
      return ResetReason::sleep;
    default:
      return ResetReason::unknown;
  }
}

std::optional<std::uint32_t> EspBoard::free_heap() const { return esp_get_free_heap_size(); }

std::optional<std::uint32_t> EspBoard::least_free_heap() const {
  return esp_get_minimum_free_heap_size();
}

std::optional<std::uint32_t> EspBoard::stack_left() const {
  return static_cast<std::uint32_t>(uxTaskGetStackHighWaterMark(nullptr));  // bytes here
}

std::optional<std::int8_t> EspBoard::rssi() const {
  if (WiFi.status() != WL_CONNECTED) {
    return std::nullopt;
  }
  return static_cast<std::int8_t>(std::clamp<int>(WiFi.RSSI(), -128, 0));
}

std::uint32_t chip_tag(std::uint32_t flash_id) {
  std::uint8_t bytes[12];
  put_u64(bytes, ESP.getEfuseMac());
  put_u32(bytes + 8, flash_id);
  return crc32(bytes, sizeof bytes);
}

std::uint64_t random_bits() { return (std::uint64_t{esp_random()} << 32U) | esp_random(); }

}  // namespace noctis::esp
