// The page on which a device is claimed from a browser, and the DNS that leads there.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "identity_bytes.hpp"
#include "memory_store.hpp"
#include "noctis/dns.hpp"
#include "noctis/form.hpp"
#include "noctis/portal.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr const char* kAddress = "192.168.4.1";

struct Ticks : Clock {
  std::uint64_t now_ms = 1000;
  std::uint64_t monotonic_ms() const override { return now_ms; }
};

struct Room : Radio {
  void join(const WifiSettings& wifi) override {
    in = wifi.name == "Home & Hof" && wifi.password == "right+password%";
  }
  bool joined() override { return in; }
  void scan() override {}
  int scanned() override { return 0; }
  Network network(int) override { return {}; }
  bool in = false;
};

struct Air : AccessPoint {
  bool open(const char* name, const char* password) override {
    ++opened;
    told = std::string(name) + "/" + password;
    return true;
  }
  void close() override { ++closed; }
  int opened = 0;
  int closed = 0;
  std::string told;
};

struct Text : Port {
  void write(const std::uint8_t* data, std::size_t size) override {
    text.append(reinterpret_cast<const char*>(data), size);
  }
  std::string text;
};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char character : text) {
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned char>(character));
    out += code;
  }
  return out;
}

std::string base64url(const Written& bytes) {
  static const char* const letters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t bits = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8U | (i < count ? bytes[at + i] : 0U);
    }
    for (std::size_t i = 0; i <= count; ++i) {
      text += letters[bits >> (18 - 6 * i) & 63U];
    }
  }
  return text;
}

struct Entry {
  Entry() { begin(); }
  void begin() {
    provisioner.begin();
    portal.begin(0xABCD1234, 0x123456789ABCDEF0, 0xFEDCBA9876543210);
  }
  // What a browser gets for those bytes, cut into pieces of that size.
  std::string ask(const std::string& request, std::size_t piece = 1000, std::size_t visit = 0) {
    Text answer;
    portal.begin_visit(visit);
    for (std::size_t at = 0; at < request.size(); at += piece) {
      const std::string part = request.substr(at, piece);
      if (portal.push(visit, reinterpret_cast<const std::uint8_t*>(part.data()), part.size(),
                      answer)) {
        break;
      }
    }
    portal.end_visit(visit);
    return answer.text;
  }
  std::string get(const std::string& path, const std::string& host = kAddress) {
    return ask("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
  }
  static std::string form(const std::string& body, const std::string& more = {}) {
    return std::string("POST /save HTTP/1.1\r\nHost: ") + kAddress + "\r\n" + more +
           "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::string post(const std::string& body) { return ask(form(body)); }
  void wait(std::uint64_t ms, bool pressed = false) {
    clock.now_ms += ms;
    provisioner.poll();
    portal.poll(pressed);
  }
  bool is_claimed() const { return store.values.count("identity") == 1; }

  MemoryStore store;
  Room room;
  Text line;
  Ticks clock;
  Air air;
  Provisioner provisioner{store, room, line, clock, {"0.1.0", "x"}};
  Portal portal{{provisioner, air, store, clock, kAddress}};
};

bool says(const std::string& answer, const char* what) {
  return answer.find(what) != std::string::npos;
}

int status_of(const std::string& answer) {
  return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0;
}

const std::string kWifi =
    "wifi=" + escaped("Home & Hof") + "&wifi_password=" + escaped("right+password%");

}  // namespace

TEST_CASE("a device that is nobody's opens a network with a password that it keeps") {
  Entry device;
  CHECK(device.portal.is_open());
  CHECK(device.air.told == std::string("Noctis-1234/") + device.portal.password());
  CHECK(std::strlen(device.portal.password()) == Portal::kPasswordSize);
  Portal next({device.provisioner, device.air, device.store, device.clock, kAddress});
  next.begin(0xABCD1234, 5, 6);
  CHECK(std::string(next.password()) == device.portal.password());
  Entry other;
  other.store.values.clear();
  other.portal.begin(1, 77, 78);
  CHECK(std::string(other.portal.password()) != device.portal.password());
}

TEST_CASE("the portal closes after a while, and opens again for who holds the button") {
  Entry device;
  device.wait(Portal::kOpenMs - 1);
  CHECK(device.portal.is_open());
  device.wait(1);
  CHECK_FALSE(device.portal.is_open());
  CHECK(device.air.closed == 1);
  device.wait(10, true);
  device.wait(LongPress::kHeldMs - 1, true);
  CHECK_FALSE(device.portal.is_open());
  device.wait(10);
  device.wait(10, true);
  device.wait(LongPress::kHeldMs, true);
  CHECK(device.portal.is_open());
  device.wait(60'000, true);
  CHECK(device.air.opened == 2);
}

TEST_CASE("a claimed device has no portal until somebody holds its button") {
  Entry device;
  device.store.values["identity"] = written({});
  Air air;
  Provisioner provisioner(device.store, device.room, device.line, device.clock, {"1", "x"});
  provisioner.begin();
  Portal portal({provisioner, air, device.store, device.clock, kAddress});
  portal.begin(1, 2, 3);
  CHECK_FALSE(portal.is_open());
  portal.begin_visit(0);
  CHECK(portal.overdue(0));
  portal.poll(true);
  device.clock.now_ms += LongPress::kHeldMs;
  portal.poll(true);
  CHECK(portal.is_open());
}

TEST_CASE("the page shows the form, and its length is what it says") {
  Entry device;
  const std::string page = device.get("/");
  CHECK(status_of(page) == 200);
  CHECK(says(page, "name=claim"));
  CHECK(says(page, "Nobody claimed this device yet"));
  const std::size_t body = page.size() - page.find("\r\n\r\n") - 4;
  CHECK(says(page, ("Content-Length: " + std::to_string(body) + "\r\n").c_str()));
  CHECK(page.size() < Portal::kMostAnswer);
  const std::string head = device.ask("HEAD / HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n");
  CHECK(head == page.substr(0, page.size() - body));
}

TEST_CASE("what telephones ask to find a portal leads to the page") {
  Entry device;
  const std::pair<const char*, const char*> probes[] = {
      {"captive.apple.com", "/hotspot-detect.html"},
      {"connectivitycheck.gstatic.com", "/generate_204"},
      {"www.msftconnecttest.com", "/connecttest.txt"},
      {"detectportal.firefox.com", "/canonical.html"},
      {"neverssl.com", "/"},
      {kAddress, "/favicon.ico"}};
  for (const auto& [host, path] : probes) {
    const std::string answer = device.get(path, host);
    CHECK(status_of(answer) == 302);
    CHECK(says(answer, "Location: http://192.168.4.1/\r\n"));
  }
  CHECK(status_of(device.get("/?" + std::string(150, 'x'))) == 200);
  CHECK(status_of(device.get("/" + std::string(150, 'x'))) == 302);
}

TEST_CASE("a network and a claim are kept together once the network could be joined") {
  Entry device;
  const Written identity = written({});
  const std::string body = kWifi + "&claim=" + base64url(identity) + "&device=&host=&port=1883";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, body.size() + 500}) {
    CAPTURE(piece);
    Entry fresh;
    CHECK(status_of(fresh.ask(Entry::form(body), piece)) == 303);
    CHECK_FALSE(fresh.is_claimed());
    CHECK(says(fresh.get("/"), "http-equiv=refresh"));
    fresh.wait(100);
    fresh.wait(100);
    CHECK(fresh.store.values.at("identity") == identity);
    CHECK(fresh.store.values.count("wifi") == 1);
    CHECK(says(fresh.get("/"), "Done."));
    CHECK_FALSE(fresh.provisioner.restart_due());  // a browser looks once more
    fresh.wait(Provisioner::kPageMs);
    CHECK(fresh.provisioner.restart_due());
  }
}

TEST_CASE("a network that cannot be joined keeps nothing, and the claim waits for another") {
  Entry device;
  const Written identity = written({});
  device.post("wifi=Home&wifi_password=wrong+password&claim=" + base64url(identity));
  device.wait(Provisioner::kJoinMs);
  device.wait(100);
  CHECK(says(device.get("/"), "could not join"));
  CHECK(device.store.values.count("wifi") == 0);
  CHECK_FALSE(device.is_claimed());
  CHECK(status_of(device.post(kWifi + "&claim=&device=")) == 303);
  device.wait(100);
  device.wait(100);
  CHECK(device.is_claimed());
}

TEST_CASE("a claim that came with a wrong network is not kept in the old one") {
  Entry device;
  device.post(kWifi);
  device.wait(100);
  REQUIRE(device.room.in);
  device.post("wifi=Home&wifi_password=wrong+password&claim=" + base64url(written({})));
  device.wait(Provisioner::kJoinMs);
  for (int i = 0; i < 10; ++i) {
    device.wait(1000);
  }
  CHECK(device.room.in);  // in the old one again
  CHECK_FALSE(device.is_claimed());
  device.post("claim=" + base64url(written({})));
  device.wait(100);
  CHECK(device.is_claimed());
}

TEST_CASE("a device without TLS can be typed") {
  Entry device;
  const std::string typed =
      "&claim=&device=home%2Fbed-1&host=192.168.1.10&port=8883&password=a+password";
  CHECK(status_of(device.post(kWifi + typed)) == 303);
  device.wait(100);
  device.wait(100);
  CHECK(device.store.values.at("identity") == written({}));
  for (const char* wrong : {"&device=bed&host=h&port=1&password=p", "&device=home/bed&host=h",
                            "&device=home%2Fbed&host=h&port=99999&password=p",
                            "&device=home%2Fbed&host=a%2Fb&port=1&password=p"}) {
    CHECK(status_of(device.post(kWifi + wrong)) == 400);
  }
}

TEST_CASE("whatever is wrong with a form changes nothing, and is said") {
  Entry device;
  const std::string claim = base64url(written({}));
  std::string torn = claim;
  torn.resize(torn.size() - 4);
  const std::string bodies[] = {"wifi",
                                "=x",
                                "wifi=a&",
                                "wifi=a%2",
                                "wifi=a%GG",
                                "wifi=a b",
                                "wifi=a&wifi=b",
                                "a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9",
                                "claim=" + torn,
                                "claim=***",
                                "claim=A",
                                "wifi_password=12345678",
                                "wifi=Home&wifi_password=short",
                                "wifi=Home%00&wifi_password=",
                                "wifi=" + std::string(33, 'x'),
                                "wifi=&claim=&device="};
  for (const std::string& body : bodies) {
    CAPTURE(body);
    CHECK(status_of(device.post(body)) == 400);
    device.wait(100);
  }
  CHECK(device.store.values.size() == 1);  // the portal's password
  CHECK_FALSE(device.provisioner.trying());
  CHECK_FALSE(device.provisioner.holds_identity());
}

TEST_CASE("no other page can save something here") {
  Entry device;
  const auto from = [&](const std::string& origin) {
    return status_of(device.ask(Entry::form(kWifi, "Origin: " + origin + "\r\n")));
  };
  CHECK(from("http://evil.example") == 403);
  CHECK(from("null") == 403);
  std::string rebound = Entry::form(kWifi);
  rebound.replace(rebound.find(kAddress), std::strlen(kAddress), "evil.example");
  CHECK(status_of(device.ask(rebound)) == 403);
  CHECK_FALSE(device.provisioner.trying());
  CHECK(from("http://192.168.4.1") == 303);
}

TEST_CASE("requests that are none are refused by the status that tells why") {
  Entry device;
  const std::string host = "Host: 192.168.4.1\r\n";
  const std::pair<std::string, int> cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
      {"GET / HTTP/1.1\n" + host + "\r\n", 400},
      {"GET / HTTP/1.1\r\n folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {std::string("GET /\0 HTTP/1.1\r\n", 17), 400},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", 505},
      {"PUT / HTTP/1.1\r\n" + host + "\r\n", 501},
      {"GET /" + std::string(300, 'x') + " HTTP/1.1\r\n", 414},
      {"GET / HTTP/1.1\r\nX: " + std::string(9000, 'x'), 431},
      {"POST /save HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n", 501},
      {"POST /save HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
       400},
      {"POST /save HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
      {"POST /save HTTP/1.1\r\n" + host + "Content-Length: 9999999\r\n\r\n", 413},
      {"POST /save HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc", 415},
      {"POST /else HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc", 405}};
  for (const auto& each : cases) {
    CAPTURE(each.first.substr(0, 60));
    CHECK(status_of(device.ask(each.first)) == each.second);
  }
  CHECK(status_of(device.post(std::string(Portal::kMostBody + 1, 'x'))) == 413);
  const std::string cookie = "Cookie: " + std::string(2000, 'c') + "\r\n";
  CHECK(status_of(device.ask("GET / HTTP/1.1\r\n" + host + cookie + "\r\n")) == 200);
}

TEST_CASE("one form comes at a time, and who is slow makes room") {
  Entry device;
  Text slow;
  const std::string half = Entry::form(kWifi).substr(0, 200);
  device.portal.begin_visit(1);
  REQUIRE_FALSE(device.portal.push(1, reinterpret_cast<const std::uint8_t*>(half.data()),
                                   half.size(), slow));
  CHECK(status_of(device.post(kWifi)) == 503);
  CHECK(status_of(device.get("/")) == 200);
  CHECK_FALSE(device.portal.overdue(1));
  device.wait(Portal::kVisitMs);
  CHECK(device.portal.overdue(1));
  device.portal.end_visit(1);
  CHECK(status_of(device.post(kWifi)) == 303);
}

TEST_CASE("every name has the device's own address") {
  std::array<std::uint8_t, kMostDnsAnswer> answer{};
  const Ipv4 address{192, 168, 4, 1};
  const auto ask = [&](const std::string& query) {
    const std::size_t size = answer_dns(reinterpret_cast<const std::uint8_t*>(query.data()),
                                        query.size(), address, answer);
    return std::string(answer.begin(), answer.begin() + static_cast<std::ptrdiff_t>(size));
  };
  const std::string head("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  const std::string name(
      "\x05"
      "apple\x03"
      "com\x00",
      11);
  const std::string a("\x00\x01\x00\x01", 4);
  const std::string said = ask(head + name + a);
  CHECK(said == std::string("\x12\x34\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00", 12) + name + a +
                    std::string("\xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x0A\x00\x04\xC0\xA8\x04"
                                "\x01",
                                16));
  const std::string aaaa("\x00\x1C\x00\x01", 4);
  CHECK(ask(head + name + aaaa) ==
        std::string("\x12\x34\x85\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12) + name + aaaa);
  CHECK(ask(head + name + a + std::string(11, '\0')) == said);  // EDNS behind it
  CHECK(ask(said).empty());                                     // an answer gets none
  CHECK(ask(head.substr(0, 11)).empty());
  for (const std::string& wrong :
       {head + name, head + std::string("\xC0\x0C", 2) + a,
        head + std::string(1, '\x3F') + "short",
        std::string("\x12\x34\x01\x00\x00\x02", 6) + std::string(6, '\0') + name + a}) {
    CHECK(ask(wrong).substr(0, 4) == std::string("\x12\x34\x85\x01", 4));
  }
  std::string longest = head;
  for (int i = 0; i < 4; ++i) {
    longest += std::string(1, '\x3F') + std::string(63, 'x');
  }
  CHECK(ask(longest + std::string(1, '\0') + a)[3] == 1);  // 257 bytes of a name
}

TEST_CASE("base64url is read as RFC 4648 spells it, and nothing else is") {
  const auto read = [](std::string text) {
    const auto size = decode_base64url(text.data(), text.size());
    return size ? text.substr(0, *size) : "no";
  };
  CHECK(read("Zm9vYmFy") == "foobar");
  CHECK(read("Zm9v\r\n Yg") == "foob");
  CHECK(read("-_8").size() == 2);
  CHECK(read("").empty());
  for (const char* wrong : {"Z", "Zm9vY", "Zg==", "Zm9+", "Zh", "Zm\x80v"}) {
    CHECK(read(wrong) == "no");
  }
}
