#include "options.hpp"

#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <string_view>

#include "addresses.hpp"

namespace noctis::host {

const char* const kUsage =
    R"(noctis-device: a virtual Noctis device, the firmware's core on this machine

  noctis-device --tenant T --device D --nor FILE --log FILE [options]
  noctis-device --store FILE --network NAME --nor FILE --log FILE [options]
  noctis-device --to csv|signals [--night DIR | --seed N --hours H]
  noctis-device --to csv --signals FILE
  noctis-device capacity [--json] [--image FILE]
  noctis-device fill --tenant T --device D --nor FILE --epochs N [--end UNIX_S]

The night
  --night DIR           a folder with stages.csv and heart_rate.csv, beats.csv, motion_counts.csv
  --seed N, --hours H   without --night: the made-up night number N of H hours (1, 8)
  --speed X|max         virtual seconds a second, whatever the network does, or as fast as
                        the network takes it (1)
  --start UNIX_S        when the night starts (now; faster than 1: now less its length)
  --clock-after S       SNTP answers S seconds after the device starts (0)
  --clock-faults        SNTP is silent, right, or wrong by seconds to years, in turns (by --seed)
  --once                end when all that was made is acknowledged
  --offline             no network: play the night into the spool and end
  --to csv              print the epochs as CSV instead; no network, no spool
  --to signals          print what the sensors say: ms,radar,hex or ms,accel,x,y,z (LSB)
  --signals FILE        with --to csv: feed the firmware these signals
The device
  --tenant T, --device D   1 to 32 of a-z, 0-9 and '-'
  --nor FILE            its flash chip; with --log and --devices the file names get a suffix
  --log FILE            every epoch made, as JSON lines
  --devices N           N devices D-0001, D-0002, ... in one process (1)
  --radar FAMILY        what is on its UART: mr60bha2 or r60abd1 (mr60bha2)
  --sensor-fault KIND@FROM-TO   in seconds of the night, may be given again; KIND is
                        radar-unplugged, radar-frozen, radar-noise, radar-swapped,
                        no-breathing, presence-stuck, accel-absent, accel-frozen or
                        accel-brownout
A device in its box (docs/provisioning.md): it hears who it is when it is claimed
  --store FILE          where it keeps its identity and its network, as a board does in NVS
  --line TTY            the terminal on which it speaks Improv, as a board does on USB
  --network NAME        the one Wi-Fi network of its room
  --network-password P  (an open one)
  --portal PORT         its page is at 127.0.0.1:PORT; with --portal-dns PORT for its DNS
  --clock-rate N        its clock runs N times as fast while it is claimed (1)
Updates over the air (one device, run by noctis-boot, which gives it the first two)
  --slots DIR           the folder of its two images
  --slot N              the image that runs, 0 or 1
  --update-keys FILE    whose images it takes: one or two public keys in hex, one a line
  --update-ca FILE      the CA of HTTPS servers of images (--tls-ca, or the machine's own)
  --trial S             so long may a new image take to prove itself (600)
What befalls it (drawn from --seed, on the night's own time)
  --drop-link N         the link is lost N times an hour (mean), for 0.5 s to 10 min (0)
  --power-cuts N        the power is cut N times an hour (mean), for 1 s to 2 min (0)
The broker
  --host H, --port P    (127.0.0.1, 1883); a cluster's nodes as --host a:1883,b:1883
  --password-file F     the password, or lines "tenant/device:password";
                        without it the variable NOCTIS_DEVICE_PASSWORD
  --tls-ca FILE         speak TLS: the broker's certificate is of this CA, and names --host
  --tls-certificate FILE, --tls-key FILE   the device's own, instead of a password; with
                        --devices the file names get a suffix

capacity fills an emulated flash chip of 8 MiB over three laps, cuts its power at the worst
moment, reads every epoch back and says how many there are
  --json                as one JSON value; exit code 0: all were there, for 189 days or more
  --image FILE          leave the chip's bytes in FILE

fill leaves N epochs in a new flash chip, the last one ending at --end (now), as after a long time
without a network; a device started with that --nor brings them
)";

namespace {

bool to_double(const std::string& text, double least, double most, double& value) {
  char* end = nullptr;
  value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && value >= least && value <= most;
}

bool to_integer(const std::string& text, long long least, long long most, long long& value) {
  char* end = nullptr;
  value = std::strtoll(text.c_str(), &end, 10);
  return !text.empty() && *end == '\0' && value >= least && value <= most;
}

bool valid_id(const std::string& text) {
  return !text.empty() && text.size() <= 32 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

// What an option's text must be; the complaint ends with it.
struct Reader {
  std::function<bool(const std::string&)> read;
  const char* wanted;
};

Reader text_into(std::string& place) {
  return {[&place](const std::string& text) {
            place = text;
            return !text.empty();
          },
          "a text"};
}

Reader integer_into(int& place, int least, int most, const char* wanted) {
  return {[&place, least, most](const std::string& text) {
            long long value = 0;
            const bool good = to_integer(text, least, most, value);
            place = static_cast<int>(value);
            return good;
          },
          wanted};
}

Reader rate_into(double& place) {
  return {[&place](const std::string& text) { return to_double(text, 0, 3600, place); },
          "a mean number an hour, 0 to 3600"};
}

Reader radar_into(RadarFamily& place) {
  return {[&place](const std::string& text) {
            place = text == name_of(RadarFamily::r60abd1) ? RadarFamily::r60abd1
                                                          : RadarFamily::mr60bha2;
            return text == name_of(place);
          },
          "mr60bha2 or r60abd1"};
}

Reader fault_into(std::vector<SensorFault>& faults) {
  return {[&faults](const std::string& text) {
            const auto fault = parse_sensor_fault(text);
            if (fault) {
              faults.push_back(*fault);
            }
            return fault.has_value();
          },
          kSensorFaultForm};
}

std::map<std::string_view, Reader> readers(Options& options) {
  const double most = std::numeric_limits<double>::max();
  return {
      {"--tenant", text_into(options.tenant)},
      {"--device", text_into(options.device)},
      {"--host",
       {[&options](const std::string& text) {
          options.host = text;
          return !parse_addresses(text, 1).empty();
        },
        "a host, or a cluster's nodes as a:1883,b:1883"}},
      {"--password-file", text_into(options.password_file)},
      {"--tls-ca", text_into(options.tls.ca)},
      {"--tls-certificate", text_into(options.tls.certificate)},
      {"--tls-key", text_into(options.tls.key)},
      {"--nor", text_into(options.nor)},
      {"--log", text_into(options.log)},
      {"--night", text_into(options.night)},
      {"--signals", text_into(options.signals_file)},
      {"--port", integer_into(options.port, 1, 65535, "a port, 1 to 65535")},
      {"--devices", integer_into(options.devices, 1, 9999, "a number, 1 to 9999")},
      {"--seed",
       {[&options](const std::string& text) {
          long long value = 0;
          const bool good = to_integer(text, 0, std::numeric_limits<long long>::max(), value);
          options.seed = static_cast<std::uint64_t>(value);
          return good;
        },
        "a whole number, 0 or more"}},
      {"--hours",
       {[&options](const std::string& text) {
          return to_double(text, 1.0 / 120.0, 24.0 * 366.0, options.hours);
        },
        "hours, 0.0084 (one epoch) to 8784"}},
      {"--speed",
       {[&options, most](const std::string& text) {
          if (text == "max") {
            options.speed = std::numeric_limits<double>::infinity();
            return true;
          }
          return to_double(text, 0.001, most, options.speed);
        },
        "a positive number or max"}},
      {"--start",
       {[&options](const std::string& text) {
          double value = 0;
          const bool good = to_double(text, 1, 4294967295.0, value);
          options.start = value;
          return good;
        },
        "unix seconds"}},
      {"--clock-after",
       {[&options, most](const std::string& text) {
          return to_double(text, 0, most, options.clock_after);
        },
        "seconds, 0 or more"}},
      {"--store", text_into(options.box.store)},
      {"--line", text_into(options.box.line)},
      {"--network", text_into(options.box.network)},
      {"--network-password", text_into(options.box.network_password)},
      {"--portal", integer_into(options.box.portal_port, 1, 65535, "a port, 1 to 65535")},
      {"--portal-dns", integer_into(options.box.portal_dns, 1, 65535, "a port, 1 to 65535")},
      {"--clock-rate", integer_into(options.box.clock_rate, 1, 1000, "a number, 1 to 1000")},
      {"--slots", text_into(options.updates.slots)},
      {"--slot", integer_into(options.updates.slot, 0, 1, "0 or 1")},
      {"--update-keys", text_into(options.updates.keys)},
      {"--update-ca", text_into(options.updates.ca)},
      {"--trial",
       {[&options](const std::string& text) {
          return to_double(text, 1, 86400, options.updates.trial_s);
        },
        "seconds, 1 to 86400"}},
      {"--drop-link", rate_into(options.faults.link_losses)},
      {"--power-cuts", rate_into(options.faults.power_cuts)},
      {"--radar", radar_into(options.sensors.radar)},
      {"--sensor-fault", fault_into(options.sensors.faults)},
      {"--to",
       {[&options](const std::string& text) {
          options.csv = text == "csv";
          options.signals = text == "signals";
          return options.csv || options.signals;
        },
        "csv or signals"}},
  };
}

std::optional<std::string> complaint_of_names(const Options& options) {
  for (const auto& [name, value] :
       {std::pair<const char*, const std::string&>{"--tenant", options.tenant},
        {"--device", options.device}}) {
    if (!valid_id(value)) {
      return std::string(name) + " must be 1 to 32 of a-z, 0-9 and '-', not '" + value + "'";
    }
  }
  if (options.tenant.rfind("svc-", 0) == 0) {
    return "--tenant must not begin with svc-: such names are the services'";
  }
  return std::nullopt;
}

std::optional<std::string> complaint_of_box(const Options& options) {
  const std::string told = options.tenant + options.device + options.password_file +
                           options.tls.ca + options.tls.certificate + options.tls.key;
  if (!told.empty() || options.devices > 1 || options.offline) {
    return "with --store the device hears who it is when it is claimed: leave out --tenant, "
           "--device, --devices, --offline and what it proves itself with";
  }
  if (options.box.network.empty()) {
    return "--store needs --network NAME: the Wi-Fi network of the device's room";
  }
  if ((options.box.portal_port == 0) != (options.box.portal_dns == 0)) {
    return "--portal and --portal-dns go together: the page and what leads to it";
  }
  return std::nullopt;
}

std::optional<std::string> complaint(const Options& options) {
  if (!options.signals_file.empty() && (!options.csv || !options.night.empty())) {
    return "--signals is for --to csv, and instead of --night";
  }
  if (options.csv || options.signals || options.help) {
    return std::nullopt;
  }
  auto wrong =
      options.box.store.empty() ? complaint_of_names(options) : complaint_of_box(options);
  if (wrong) {
    return wrong;
  }
  if (options.devices > 1 && options.device.size() > 27) {
    return "--device must have at most 27 characters with --devices: it gets a suffix of 5";
  }
  if (options.tls.certificate.empty() != options.tls.key.empty() ||
      (options.tls.ca.empty() && !options.tls.key.empty())) {
    return "--tls-certificate and --tls-key go together, and with --tls-ca";
  }
  if (options.nor.empty() || options.log.empty()) {
    return "--nor FILE and --log FILE are needed: the flash chip and the log of what was made";
  }
  if (!options.updates.slots.empty() &&
      (options.devices > 1 || options.faults.power_cuts > 0)) {
    return "--slots is for one device without --power-cuts: a kill is what cuts its power";
  }
  if (!options.updates.slots.empty() && options.updates.keys.empty()) {
    return "--slots needs --update-keys FILE: whose images the device takes";
  }
  return std::nullopt;
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv, std::string& error) {
  Options options;
  const auto table = readers(options);
  const std::map<std::string_view, bool*> switches = {
      {"--once", &options.once},
      {"--offline", &options.offline},
      {"--clock-faults", &options.clock_faults},
      {"--help", &options.help},
      {"-h", &options.help},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (const auto flag = switches.find(name); flag != switches.end()) {
      *flag->second = true;
      continue;
    }
    const auto reader = table.find(name);
    if (reader == table.end()) {
      error = "unknown option '" + std::string(name) + "'; --help lists them";
      return std::nullopt;
    }
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (value == nullptr || !reader->second.read(value)) {
      error = std::string(name) + " needs " + reader->second.wanted +
              (value == nullptr ? "" : ", not '" + std::string(value) + "'");
      return std::nullopt;
    }
    ++i;
  }
  if (options.updates.ca.empty()) {
    options.updates.ca = options.tls.ca;
  }
  if (const auto found = complaint(options)) {
    error = *found;
    return std::nullopt;
  }
  return options;
}

}  // namespace noctis::host
