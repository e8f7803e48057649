// A claimed device that lives in real time: the core put together, for a board's main loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/board.hpp"
#include "noctis/identity.hpp"
#include "noctis/light.hpp"
#include "noctis/mpu6050.hpp"
#include "noctis/mqtt_session.hpp"
#include "noctis/recorder.hpp"
#include "noctis/update.hpp"

namespace noctis {

class Bedside : private UplinkListener {
 public:
  // All of it must outlive the device.
  struct Hardware {
    Flash& flash;
    std::uint32_t chip;  // its tag
    MqttClient& client;
    I2cBus& i2c;
    const Clock& clock;
    Store& store;
    Board& board;
    ImageSlots& slots;
    ImageSource& source;
    Crypto& crypto;
    std::uint64_t random;  // from the hardware: names a new stream
  };

  Bedside(const Hardware& hardware, const Identity& identity, const Topics& topics,
          const FirmwareId& firmware, const char* name);

  // Finds the spool, and begins the first epoch.
  Spool::Mount boot();
  // What came on the radar's UART.
  void radar(const std::uint8_t* bytes, std::size_t size);
  // Does what is due; to be called every few milliseconds. `network`: there is one.
  void step(bool network);
  // Says goodbye, before the power goes.
  void close();

  MqttSession& session() { return session_; }
  WallClock& wall_clock() { return wall_clock_; }
  Recorder& recorder() { return recorder_; }
  // The boot loader is to take over.
  bool restart_due() const { return update_.restart_due(); }
  // The most that is amiss.
  Sign sign(bool flash_sound, bool network) const;

 private:
  void on_state(bool up) override;
  void on_ack(int id) override;
  void on_message(DownChannel channel, const std::uint8_t* data, std::size_t size) override;
  std::size_t last_will(char (&json)[kMostWill]) override;

  const Clock& clock_;
  const ResetReason reset_reason_;
  const std::array<char, kMostSerial + 1> certificate_;
  WallClock wall_clock_;
  MqttSession session_;
  Recorder recorder_;
  Cadence cadence_;
  Mpu6050 accelerometer_;
  Update update_;
  std::uint64_t sample_ms_ = 0;  // of the accelerometer, the next one
  Spool::Mount mounted_ = Spool::Mount::unreadable;
  RadarState radar_ = RadarState::ok;  // until the first epoch tells
};

}  // namespace noctis
