// Whole devices: against no network, and against a real mosquitto with a small platform behind.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fleet.hpp"
#include "scripted_platform.hpp"
#include "temporary_folder.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::host;
using namespace noctis::test;

namespace {

constexpr double kStartS = 1'700'000'000;

Options options_in(const TemporaryFolder& folder, double hours) {
  Options options;
  options.tenant = "t1";
  options.device = "d1";
  options.nor = folder.file("nor");
  options.log = folder.file("log");
  options.hours = hours;
  options.speed = std::numeric_limits<double>::infinity();
  options.start = kStartS;
  options.once = true;
  return options;
}

struct Line {
  std::string stream;
  std::uint32_t seq;
  std::uint32_t boot;
  std::uint32_t utc;
  std::string record_hex;
  bool live;
  std::optional<double> began_at;
};

std::vector<Line> log_of(const std::string& path) {
  std::vector<Line> lines;
  std::ifstream file(path);
  for (std::string row; std::getline(file, row);) {
    const Json json(cJSON_Parse(row.c_str()), cJSON_Delete);
    REQUIRE(json);
    const cJSON* began_at = cJSON_GetObjectItem(json.get(), "began_at");
    REQUIRE(began_at != nullptr);
    lines.push_back(
        {text(json.get(), "stream"), number(json.get(), "seq"), number(json.get(), "boot"),
         number(json.get(), "utc"), text(json.get(), "record_hex"),
         cJSON_IsNumber(cJSON_GetObjectItem(json.get(), "published_at")) != 0,
         cJSON_IsNumber(began_at) != 0 ? std::optional(began_at->valuedouble) : std::nullopt});
  }
  return lines;
}

void run(const Options& options, const volatile int* stop = nullptr) {
  static const volatile int never = 0;
  Fleet fleet(options);
  std::string error;
  REQUIRE_MESSAGE(fleet.open(error), error);
  REQUIRE_MESSAGE(fleet.run(stop == nullptr ? &never : stop, error), error);
}

// mosquitto on a free port of the loopback.
class Broker {
 public:
  explicit Broker(const TemporaryFolder& folder) : config_(folder.file("mosquitto.conf")) {
    port_ = free_port();
    std::ofstream(config_) << "listener " << port_ << " 127.0.0.1\nallow_anonymous true\n"
                           << "max_inflight_messages 0\nmax_queued_messages 0\n"
                           << "set_tcp_nodelay true\nlog_type none\n";
    start();
  }
  ~Broker() { kill(); }

  void start() {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves no broker behind
      for (const char* program : {"/usr/sbin/mosquitto", "mosquitto"}) {
        ::execlp(program, program, "-c", config_.c_str(), nullptr);
      }
      ::_exit(127);
    }
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  int port() const { return port_; }

 private:
  static int free_port() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    ::close(listener);
    return ntohs(address.sin_port);
  }

  std::string config_;
  int port_ = 0;
  pid_t pid_ = -1;
};

// Stores and acknowledges what comes, in a thread of its own.
class Platform {
 public:
  using Key = std::pair<std::string, std::uint32_t>;  // stream, seq
  struct Stored {
    std::uint32_t utc;
    std::string record_hex;
    int times_live;
  };

  explicit Platform(int port) : client_(mosquitto_new("platform", true, this)) {
    mosquitto_connect_callback_set(client_, [](mosquitto* client, void*, int) {
      mosquitto_subscribe(client, nullptr, "noctis/v1/up/#", 1);
    });
    mosquitto_subscribe_callback_set(client_, [](mosquitto*, void* self, int, int, const int*) {
      static_cast<Platform*>(self)->subscribed_ = true;
    });
    mosquitto_message_callback_set(
        client_, [](mosquitto*, void* self, const mosquitto_message* message) {
          static_cast<Platform*>(self)->take(*message);
        });
    mosquitto_reconnect_delay_set(client_, 1, 1, false);
    for (int i = 0; mosquitto_connect(client_, "127.0.0.1", port, 10) != 0; ++i) {
      REQUIRE_MESSAGE(i < 100, "mosquitto does not start: is it installed?");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    mosquitto_loop_start(client_);
    while (!subscribed_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  ~Platform() {
    mosquitto_disconnect(client_);
    mosquitto_loop_stop(client_, true);
    mosquitto_destroy(client_);
  }

  std::map<Key, Stored> stored() {
    const std::lock_guard lock(mutex_);
    return stored_;
  }
  std::string last_status() {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  // Clears *flag, and sets it once so many epochs are stored. It outlives the platform, whose
  // thread may still store late epochs after the device has gone.
  void stop_at(std::size_t epochs, volatile int* flag) {
    const std::lock_guard lock(mutex_);
    *flag = 0;
    stop_at_ = epochs;
    stop_ = flag;
  }

 private:
  void take(const mosquitto_message& message) {
    const std::string topic = message.topic;
    const auto* data = static_cast<const std::uint8_t*>(message.payload);
    const auto size = static_cast<std::size_t>(message.payloadlen);
    const std::lock_guard lock(mutex_);
    if (topic.rfind("/status") == topic.size() - 7) {
      status_.assign(reinterpret_cast<const char*>(data), size);
      return;
    }
    if (topic.rfind("/epochs") != topic.size() - 7 &&
        topic.rfind("/backlog") != topic.size() - 8) {
      return;
    }
    const ReadFrame frame = read_frame(data, size);
    char stream[20];
    std::snprintf(stream, sizeof stream, "%016llx",
                  static_cast<unsigned long long>(frame.stream));
    for (std::uint32_t i = 0; i < frame.slots.size(); ++i) {
      const std::uint32_t seq = frame.first + i;
      Stored& epoch = stored_[{stream, seq}];
      epoch.utc = frame.run.utc_s + 30 * (seq - frame.run_seq - 1);
      epoch.record_hex = hex(frame.slots[i].data(), kSlotSize);
      epoch.times_live += topic.rfind("/epochs") == topic.size() - 7 ? 1 : 0;
    }
    if (stop_ != nullptr && stored_.size() >= stop_at_) {
      *stop_ = 1;
    }
    const auto ack = encode_ack(
        frame.stream, {{frame.first, static_cast<std::uint8_t>(frame.slots.size()), 0}});
    mosquitto_publish(client_, nullptr, "noctis/v1/down/t1/d1/ack",
                      static_cast<int>(ack.size()), ack.data(), 0, false);
  }

  mosquitto* client_;
  std::mutex mutex_;
  std::map<Key, Stored> stored_;
  std::string status_;
  std::size_t stop_at_ = 0;
  volatile int* stop_ = nullptr;
  volatile bool subscribed_ = false;
};

// What was made is what is stored, once each.
std::set<std::uint32_t> check_stored(const std::vector<Line>& log, Platform& platform) {
  const auto stored = platform.stored();
  CHECK(stored.size() == log.size());
  std::set<std::uint32_t> times;
  for (const Line& line : log) {
    const auto epoch = stored.find({line.stream, line.seq});
    REQUIRE(epoch != stored.end());
    CHECK(epoch->second.record_hex == line.record_hex);
    CHECK(epoch->second.times_live <= 1);
    if (line.utc != 0) {
      CHECK(epoch->second.utc == line.utc);
      CHECK(times.insert(line.utc).second);
    }
  }
  return times;
}

// The whole night is, at the right times.
void check_all_stored(const std::vector<Line>& log, Platform& platform, std::uint32_t epochs) {
  const auto times = check_stored(log, platform);
  REQUIRE(times.size() == epochs);
  CHECK(*times.begin() == static_cast<std::uint32_t>(kStartS));
  CHECK(*times.rbegin() == static_cast<std::uint32_t>(kStartS) + 30 * (epochs - 1));
}

}  // namespace

TEST_CASE("a night without a network lies in the spool and in the log") {
  const TemporaryFolder folder;
  Options options = options_in(folder, 0.5);
  options.offline = true;
  run(options);
  const auto log = log_of(options.log);
  REQUIRE(log.size() == 60);
  for (std::uint32_t i = 0; i < 60; ++i) {
    CHECK(log[i].seq == i + 1);
    CHECK(log[i].utc == static_cast<std::uint32_t>(kStartS) + 30 * i);
    CHECK_FALSE(log[i].live);
  }
  run(options);  // the night is over: nothing is made twice
  CHECK(log_of(options.log).size() == 60);
  std::filesystem::remove(options.log);
  run(options);  // a lost log comes back from the spool
  CHECK(log_of(options.log).size() == 60);
}

TEST_CASE("another night in the same spool begins a new count") {
  const TemporaryFolder folder;
  Options options = options_in(folder, 0.1);
  options.offline = true;
  run(options);
  options.seed = 2;
  options.start = kStartS + 7200;
  run(options);
  const auto log = log_of(options.log);
  REQUIRE(log.size() == 24);
  CHECK(log[12].utc == static_cast<std::uint32_t>(kStartS) + 7200);
  CHECK(log[12].record_hex != log[0].record_hex);
}

TEST_CASE("every epoch goes live to the platform and its status says goodbye") {
  const TemporaryFolder folder;
  Broker broker(folder);
  Platform platform(broker.port());
  Options options = options_in(folder, 1);
  options.port = broker.port();
  run(options);
  const auto log = log_of(options.log);
  check_all_stored(log, platform, 120);
  for (const Line& line : log) {
    CHECK(line.live);
  }
  for (int i = 0; i < 100 && platform.last_status().find("sleeping") == std::string::npos;
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(platform.last_status().find(R"("state":"sleeping")") != std::string::npos);
  CHECK(platform.last_status().find(R"("backlog":0)") != std::string::npos);
}

TEST_CASE("stopped and started again, a device makes each epoch of its night once") {
  const TemporaryFolder folder;
  volatile int stop = 0;
  Broker broker(folder);
  Platform platform(broker.port());
  Options options = options_in(folder, 1);
  options.port = broker.port();
  for (const std::size_t epochs : {10U, 40U, 41U, 90U}) {
    platform.stop_at(epochs, &stop);
    run(options, &stop);
  }
  run(options);
  check_all_stored(log_of(options.log), platform, 120);
}

TEST_CASE("a broker that dies and comes back loses nothing") {
  const TemporaryFolder folder;
  Broker broker(folder);
  Platform platform(broker.port());
  Options options = options_in(folder, 1);
  options.port = broker.port();
  std::thread killer([&] {
    while (platform.stored().size() < 30) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    broker.kill();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    broker.start();
  });
  run(options);
  killer.join();
  check_all_stored(log_of(options.log), platform, 120);
}

TEST_CASE("power cuts cost the epochs that were being made, and no time is told wrong") {
  const TemporaryFolder folder;
  Options options = options_in(folder, 8);
  options.offline = true;
  options.faults.power_cuts = 30;
  run(options);
  const auto log = log_of(options.log);
  CHECK(log.back().boot > 100);
  CHECK(log.size() > 500);
  CHECK(log.size() < 900);
  int found_in_the_spool = 0;
  for (std::size_t i = 0; i < log.size(); ++i) {
    CHECK(log[i].stream == log[0].stream);
    if (i > 0) {
      CHECK(log[i].seq > log[i - 1].seq);
      CHECK(log[i].utc >= log[i - 1].utc + 30);
    }
    found_in_the_spool += log[i].began_at ? 0 : 1;
    if (log[i].began_at) {
      CHECK(std::abs(*log[i].began_at - log[i].utc) <= 0.501);
    }
  }
  CHECK(found_in_the_spool > 0);
  CHECK(log.back().utc <= kStartS + 8 * 3600 - 30);
  CHECK(log.back().utc > kStartS + 8 * 3600 - 400);
}

TEST_CASE("link losses and power cuts lose and double nothing") {
  const TemporaryFolder folder;
  Broker broker(folder);
  Platform platform(broker.port());
  Options options = options_in(folder, 2);
  options.port = broker.port();
  options.faults = {30, 30};
  for (const double speed : {1800.0, std::numeric_limits<double>::infinity()}) {
    CAPTURE(speed);
    options.speed = speed;
    run(options);
    const auto log = log_of(options.log);
    CHECK(log.back().boot > 10);
    check_stored(log, platform);
    // Once more, after the night before.
    options.start = kStartS + 7200;
    options.seed = 2;
  }
}

TEST_CASE(
    "a fleet run again makes new streams; on the same chips it goes on with the old ones") {
  const TemporaryFolder folder;
  Options options = options_in(folder, 0.25);
  options.offline = true;
  options.devices = 3;
  options.faults = {20, 20};
  std::set<std::string> streams;
  for (const char* chips : {"one", "two", "one"}) {
    CAPTURE(chips);
    options.nor = folder.file(chips);
    options.log = options.nor + ".log";
    run(options);
    for (const char* suffix : {"-0001", "-0002", "-0003"}) {
      streams.insert(log_of(options.log + suffix).at(0).stream);
    }
  }
  CHECK(streams.size() == 6);
}
