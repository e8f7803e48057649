#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>

#include "sensors.hpp"
#include "signals.hpp"
#include "temporary_folder.hpp"

using namespace noctis;
using namespace noctis::host;
using namespace noctis::test;

namespace {

std::vector<Epoch> epochs_of(const std::string& path, std::string& error) {
  std::vector<Epoch> epochs;
  read_signals(path, [&epochs](const Epoch& epoch) { epochs.push_back(epoch); }, error);
  return epochs;
}

std::vector<Epoch> played(const Night& night) {
  std::vector<Epoch> epochs;
  SensorFeed feed(night);
  EpochBuilder builder;
  builder.begin(0);
  for (std::size_t k = 0; k < night.epochs(); ++k) {
    feed.play(30.0 * static_cast<double>(k), 30.0 * static_cast<double>(k + 1), builder);
    epochs.push_back(builder.finish(static_cast<std::uint32_t>(30000 * (k + 1))));
  }
  return epochs;
}

}  // namespace

TEST_CASE("signals that were printed make the very epochs of the night they came from") {
  const TemporaryFolder folder;
  const std::string path = folder.file("signals.csv");
  const Night night = make_up_night(5, 0.1);
  std::FILE* file = std::fopen(path.c_str(), "w");
  REQUIRE(file != nullptr);
  REQUIRE(print_signals(night, {}, file) == 0);
  std::fclose(file);
  std::string error;
  const auto epochs = epochs_of(path, error);
  CHECK(error.empty());
  const auto expected = played(night);
  REQUIRE(epochs.size() == expected.size());
  for (std::size_t k = 0; k < epochs.size(); ++k) {
    CHECK(epochs[k].codes == expected[k].codes);
    CHECK(epochs[k].in_bed == expected[k].in_bed);
  }
}

TEST_CASE("epochs in which nothing is said are made as well") {
  const TemporaryFolder folder;
  const std::string path = folder.file("signals.csv");
  std::ofstream(path) << "ms,sensor,signal\n5,accel,0,0,16384\n95000,accel,0,0,16384\n";
  std::string error;
  CHECK(epochs_of(path, error).size() == 4);
  CHECK(error.empty());
}

TEST_CASE("a line that is no signal is named with what it should be") {
  const TemporaryFolder folder;
  const std::string path = folder.file("signals.csv");
  for (const char* line :
       {"", "x,radar,00", "0,radar", "0,radar,0", "0,radar,zz", "0,radar,00,00", "0,sonar,00",
        "0,accel,1,2", "0,accel,1,2,3,4", "0,accel,1,2,40000", "-1,radar,00"}) {
    CAPTURE(line);
    std::ofstream(path) << "ms,sensor,signal\n0,radar,00\n" << line << "\n";
    std::string error;
    epochs_of(path, error);
    CHECK(error.find("line 3") != std::string::npos);
  }
  std::ofstream(path) << "ms,sensor,signal\n7,radar,00\n6,radar,00\n";
  std::string error;
  epochs_of(path, error);
  CHECK(error.find("not less than before") != std::string::npos);
  error.clear();
  epochs_of(folder.file("nowhere.csv"), error);
  CHECK(error.find("nowhere.csv") != std::string::npos);
}
