// Random lives of many devices against the real platform: a test feeds what they send to the
// real ingest and returns what it says. Lines of JSON go out, lines of hex come in:
//
//   {"ask":hex,"device":i,"utc_ms":t}      answered by one line, the reply
//   {"send":hex,"device":i,"channel":c}    a message that arrives in this round
//   {"round":n,"utc_ms":t}                 answered by lines "i hex", acknowledgements, and "."
//   {"made":...}                           in the end, the truth of every epoch
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "life.hpp"

namespace {

using namespace noctis;
using namespace noctis::schedules;

constexpr std::uint64_t kStartMs = 1'800'000'000'000;  // January 2027
constexpr std::uint64_t kRoundMs = 300'000;
constexpr int kSettlingRounds = 400;

std::string hex(const std::uint8_t* data, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += "0123456789abcdef"[data[i] >> 4U];
    text += "0123456789abcdef"[data[i] & 15U];
  }
  return text;
}

Bytes unhex(const std::string& text) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

unsigned long long number(std::uint64_t value) { return value; }

// The network: delays, reorders and repeats messages, loses and repeats acknowledgements.
class World {
 public:
  World(std::uint64_t seed, std::size_t devices) : random_(seed) {
    for (std::size_t i = 0; i < devices; ++i) {
      lives_.push_back(std::make_unique<Life>(i, seed + i, kStartMs));
    }
  }

  void play(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      play_round();
    }
    reliable_ = true;
    for (const auto& life : lives_) {
      life->settle();
    }
    for (int round = 0; round < kSettlingRounds && !settled(); ++round) {
      play_round();
    }
  }

  void tell_truth() const {
    for (std::size_t i = 0; i < lives_.size(); ++i) {
      for (const Made& made : lives_[i]->made()) {
        const std::string error =
            made.error_ms ? std::to_string(static_cast<long long>(*made.error_ms)) : "null";
        std::printf(R"({"made":"%s","device":%zu,"seed":%llu,"stream":%llu,"seq":%lu,)"
                    R"("boot":%lu,"began_ms":%llu,"error_ms":%s})"
                    "\n",
                    hex(made.record.data(), made.record.size()).c_str(), i,
                    number(lives_[i]->seed()), number(made.stream),
                    static_cast<unsigned long>(made.seq), static_cast<unsigned long>(made.boot),
                    number(made.began_ms), error.c_str());
      }
    }
    std::printf(R"({"settled":%s})"
                "\n",
                settled() ? "true" : "false");
  }

 private:
  bool settled() const {
    return std::all_of(lives_.begin(), lives_.end(),
                       [](const auto& life) { return life->settled(); });
  }

  void play_round() {
    const std::uint64_t until_ms = kStartMs + static_cast<std::uint64_t>(++round_) * kRoundMs;
    for (std::size_t i = 0; i < lives_.size(); ++i) {
      lives_[i]->live(until_ms, queue_, [i](const Bytes& request, std::uint64_t utc_ms) {
        std::printf(R"({"ask":"%s","device":%zu,"utc_ms":%llu})"
                    "\n",
                    hex(request.data(), request.size()).c_str(), i, number(utc_ms));
        std::fflush(stdout);
        std::string line;
        std::getline(std::cin, line);
        return unhex(line);
      });
    }
    deliver();
    std::printf(R"({"round":%d,"utc_ms":%llu})"
                "\n",
                round_, number(until_ms));
    std::fflush(stdout);
    hear();
  }

  void deliver() {
    std::vector<Sent> later;
    for (std::size_t i = queue_.size(); i > 1; --i) {
      if (random_.chance(0.2)) {
        std::swap(queue_[i - 1], queue_[random_.bits() % i]);
      }
    }
    for (Sent& message : queue_) {
      if (!reliable_ && random_.chance(0.15)) {
        later.push_back(std::move(message));
        continue;
      }
      std::printf(R"({"send":"%s","device":%zu,"channel":"%s"})"
                  "\n",
                  hex(message.bytes.data(), message.bytes.size()).c_str(), message.device,
                  name_of(message.channel));
      if (!reliable_ && random_.chance(0.08)) {
        later.push_back(std::move(message));  // comes once more
      }
    }
    queue_ = std::move(later);
  }

  void hear() {
    std::vector<std::pair<std::size_t, Bytes>> later;
    const auto take = [&](std::size_t device, const Bytes& ack) {
      const double fate = reliable_ ? 0.5 : random_.uniform();
      if (fate < 0.15) {
        return;
      }
      if (fate < 0.3) {
        later.emplace_back(device, ack);
        return;
      }
      if (fate > 0.95) {
        later.emplace_back(device, ack);
      }
      if (fate > 0.93) {
        lives_[random_.bits() % lives_.size()]->hear(ack);  // of another stream
      }
      lives_[device]->hear(ack);
    };
    for (const auto& [device, ack] : delayed_) {
      take(device, ack);
    }
    std::string line;
    while (std::getline(std::cin, line) && line != ".") {
      const std::size_t space = line.find(' ');
      take(std::stoul(line.substr(0, space)), unhex(line.substr(space + 1)));
    }
    delayed_ = std::move(later);
  }

  host::Random random_;
  std::vector<std::unique_ptr<Life>> lives_;
  std::vector<Sent> queue_;
  std::vector<std::pair<std::size_t, Bytes>> delayed_;
  int round_ = 0;
  bool reliable_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: noctis_schedules SEED DEVICES ROUNDS\n", stderr);
    return 2;
  }
  World world(std::strtoull(argv[1], nullptr, 10), std::strtoul(argv[2], nullptr, 10));
  world.play(static_cast<int>(std::strtol(argv[3], nullptr, 10)));
  world.tell_truth();
  return 0;
}
