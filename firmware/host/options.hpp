// The command line of noctis-device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "faults.hpp"
#include "sensor_faults.hpp"
#include "tls.hpp"
#include "update_board.hpp"

namespace noctis::host {

// A device in its box: who it is, and where its platform is, it learns when it is claimed.
struct Box {
  std::string store;  // the file where it keeps that; empty: the command line says it all
  std::string line;   // a terminal on which it is claimed
  std::string network;
  std::string network_password;
  int portal_port = 0;  // of its page on the loopback address; 0: it has none
  int portal_dns = 0;
  int clock_rate = 1;  // of the time that it gives a network to be joined
};

// What a claimed device proves itself with.
struct Claim {
  std::string password;
  TlsBytes tls;
};

struct Options {
  std::string tenant;
  std::string device;
  std::string host = "127.0.0.1";
  int port = 1883;
  std::string password_file;
  TlsFiles tls;
  std::string nor;
  std::string log;
  std::string night;  // folder; empty: a made-up night
  std::uint64_t seed = 1;
  double hours = 8.0;
  double speed = 1.0;  // virtual seconds a second; infinity: as fast as the machine
  std::optional<double> start;
  double clock_after = 0;  // virtual seconds after boot
  bool clock_faults = false;
  bool once = false;
  bool offline = false;
  bool csv = false;          // print epochs,
  bool signals = false;      // or the sensors' signals
  std::string signals_file;  // the epochs of these instead of a night's
  int devices = 1;
  FaultRates faults;
  SensorSetup sensors;
  UpdateSettings updates;
  Box box;
  std::optional<Claim> claim;  // not of the command line
  bool help = false;
};

extern const char* const kUsage;

// Nothing and `error` set: what was wrong and what to do.
std::optional<Options> parse_options(int argc, const char* const* argv, std::string& error);

}  // namespace noctis::host
