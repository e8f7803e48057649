// Any bytes to the page's port, and to its DNS: what is kept must be whole, whatever came.
#include "noctis/portal.hpp"

#include <map>
#include <string>
#include <vector>

#include "expect.hpp"
#include "noctis/dns.hpp"
#include "noctis/form.hpp"

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

struct Air : noctis::Radio, noctis::AccessPoint {
  void join(const noctis::WifiSettings& wifi) override { in = wifi.name.size() % 2 == 0; }
  bool joined() override { return in; }
  void scan() override {}
  int scanned() override { return 0; }
  Network network(int) override { return {}; }
  bool open(const char*, const char*) override { return true; }
  void close() override {}
  bool in = false;
};

struct Answer : noctis::Port {
  void write(const std::uint8_t* data, std::size_t size) override {
    text.append(reinterpret_cast<const char*>(data), size);
  }
  std::string text;
};

struct Ticks : noctis::Clock {
  std::uint64_t now_ms = 0;
  std::uint64_t monotonic_ms() const override { return now_ms; }
};

void check_answer(const std::string& text) {
  expect(text.compare(0, 9, "HTTP/1.1 ") == 0, "an answer begins as one");
  expect(text.size() <= noctis::Portal::kMostAnswer, "an answer fits into a socket's buffer");
  const std::size_t at = text.find("Content-Length: ");
  const std::size_t end = text.find("\r\n\r\n");
  expect(at < end && end != std::string::npos, "an answer has a head and a length");
  const std::size_t length = std::stoul(text.substr(at + 16));
  const std::size_t body = text.size() - end - 4;
  expect(body == length || body == 0, "an answer is as long as it says");
}

void check_dns(const std::uint8_t* data, std::size_t size) {
  std::array<std::uint8_t, noctis::kMostDnsAnswer> answer{};
  const std::size_t count = noctis::answer_dns(data, size, {192, 168, 4, 1}, answer);
  expect(count <= answer.size(), "an answer has room");
  expect(count == 0 || (answer[0] == data[0] && answer[1] == data[1] && answer[2] >= 0x80),
         "an answer is one to its question");
}

}  // namespace

// The first byte is how many bytes come at a time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::size_t piece = std::size_t{1} + data[0];
  ++data;
  --size;
  check_dns(data, size);
  std::string text(reinterpret_cast<const char*>(data), size);
  noctis::read_form(text.data(), text.size());
  text.assign(reinterpret_cast<const char*>(data), size);
  noctis::decode_base64url(text.data(), text.size());
  Values store;
  Air air;
  Answer line;
  Ticks clock;
  noctis::Provisioner provisioner(store, air, line, clock, {"1", "fuzzed"});
  noctis::Portal portal({provisioner, air, store, clock, "192.168.4.1"});
  provisioner.begin();
  portal.begin(1, 2, 3);
  Answer answer;
  portal.begin_visit(0);
  bool answered = false;
  for (std::size_t at = 0; at < size && !answered; at += piece) {
    answered = portal.push(0, data + at, std::min(piece, size - at), answer);
  }
  expect(answered != answer.text.empty(), "who is answered gets one answer");
  if (answered) {
    check_answer(answer.text);
  }
  portal.end_visit(0);
  for (int i = 0; i < 3; ++i) {
    clock.now_ms += noctis::Provisioner::kJoinMs;
    provisioner.poll();
    portal.poll(false);
  }
  const auto identity = store.values.find("identity");
  expect(identity == store.values.end() ||
             noctis::read_identity(identity->second.data(), identity->second.size()),
         "an identity that is kept is whole");
  const auto wifi = store.values.find("wifi");
  expect(
      wifi == store.values.end() || noctis::read_wifi(wifi->second.data(), wifi->second.size()),
      "a network that is kept can be joined");
  expect(identity == store.values.end() || air.in, "an identity is kept in a network");
  return 0;
}
