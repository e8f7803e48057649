// Any bytes on the serial line: what is stored must be whole, whatever came.
#include "noctis/provisioner.hpp"

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "expect.hpp"

using noctis::fuzz::expect;

namespace {

using Value = std::vector<std::uint8_t>;

struct Values : noctis::Store {
  std::optional<std::size_t> get(const char* name, std::uint8_t* to,
                                 std::size_t size) override {
    const auto found = values.find(name);
    if (found == values.end() || found->second.size() > size) {
      return std::nullopt;
    }
    std::copy(found->second.begin(), found->second.end(), to);
    return found->second.size();
  }
  bool put(const char* name, const std::uint8_t* from, std::size_t size) override {
    values[name] = Value(from, from + size);
    return true;
  }
  bool remove(const char* name) override {
    values.erase(name);
    return true;
  }
  std::map<std::string, Value> values;
};

struct Air : noctis::Radio {
  void join(const noctis::WifiSettings& wifi) override { in = wifi.name.size() % 2 == 0; }
  bool joined() override { return in; }
  void scan() override {}
  int scanned() override { return 3; }
  Network network(int index) override {
    Network network{};
    std::memset(network.name.data(), 'n', static_cast<std::size_t>(16 * index));
    return network;
  }
  bool in = false;
};

// Every packet that goes out is whole.
struct Line : noctis::Port {
  void write(const std::uint8_t* data, std::size_t size) override {
    expect(size >= 11 && size == std::size_t{11} + data[8], "the length is the data's");
    expect(data[6] == 1 && data[7] != 3 && data[size - 1] == '\n', "a device's packet");
    std::uint8_t sum = 0;
    for (std::size_t i = 0; i + 2 < size; ++i) {
      sum = static_cast<std::uint8_t>(sum + data[i]);
    }
    expect(sum == data[size - 2], "the sum is right");
    expect(data[7] != 4 || data[10] == data[8] - 2, "a result says its length");
  }
};

struct Ticks : noctis::Clock {
  std::uint64_t now_ms = 0;
  std::uint64_t monotonic_ms() const override { return now_ms; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  noctis::read_wifi(data, size);
  noctis::read_identity(data, size);
  Values store;
  Air air;
  Line line;
  Ticks clock;
  noctis::Provisioner provisioner(store, air, line, clock, {"1", "fuzzed"});
  provisioner.begin();
  for (std::size_t at = 0; at < size; at += 64) {
    provisioner.push(data + at, std::min<std::size_t>(64, size - at));
    provisioner.poll();
    clock.now_ms += 3000;
  }
  const auto identity = store.values.find("identity");
  expect(identity == store.values.end() ||
             noctis::read_identity(identity->second.data(), identity->second.size()),
         "an identity that is kept is whole");
  const auto wifi = store.values.find("wifi");
  expect(
      wifi == store.values.end() || noctis::read_wifi(wifi->second.data(), wifi->second.size()),
      "a network that is kept can be joined");
  clock.now_ms += noctis::Provisioner::kRestartMs;
  expect(provisioner.restart_due() == (identity != store.values.end()),
         "a new identity asks for a restart");
  return 0;
}
