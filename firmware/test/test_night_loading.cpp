#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "csv.hpp"
#include "night.hpp"
#include "noctis/quantise.hpp"
#include "sensors.hpp"

using namespace noctis;
using namespace noctis::host;

namespace {

// A folder that is gone after the test.
class Folder {
 public:
  Folder() {
    std::string path = (std::filesystem::temp_directory_path() / "noctis-XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  const Folder& with(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return *this;
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

Night loaded(const Folder& folder) {
  std::string error;
  const auto night = load_night(folder.path(), error);
  REQUIRE_MESSAGE(night, error);
  return *night;
}

// The complaint about a folder that cannot be loaded, without the folder's name.
std::string complaint_about(const Folder& folder) {
  std::string error;
  REQUIRE_FALSE(load_night(folder.path(), error));
  const std::size_t at = error.find(folder.path());
  return at == std::string::npos ? error : error.substr(at + folder.path().size());
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a folder of all files is loaded") {
  const Folder folder;
  folder.with("stages.csv", "t_s,stage\n0,\n30,W\n60,N1\n90,N2\n120,N3\n150,R\n")
      .with("heart_rate.csv", "t_s,bpm\n-7.5,61\n1.25,60.5\n6,59\n")
      .with("motion_counts.csv", "t_s,count\n30,0.0\n90,12.5\n");
  const Night night = loaded(folder);
  using S = NightStage;
  CHECK(night.stages == std::vector<S>{S::unscored, S::wake, S::n1, S::n2, S::n3, S::rem});
  REQUIRE(night.heart_rate.size() == 3);
  CHECK(night.heart_rate[0].t_s == -7.5);
  CHECK(night.heart_rate[1].value == 60.5);
  REQUIRE(night.motion_counts.size() == 6);
  CHECK(std::isnan(night.motion_counts[0]));
  CHECK(night.motion_counts[1] == 0.0F);
  CHECK(std::isnan(night.motion_counts[2]));
  CHECK(night.motion_counts[3] == 12.5F);
}

TEST_CASE("the last stage says how long the night was, with holes unscored") {
  const Folder folder;
  folder.with("stages.csv", "t_s,stage\n0,W\n90,R\n");
  const Night night = loaded(folder);
  CHECK(night.epochs() == 4);
  CHECK(night.stages[1] == NightStage::unscored);
  CHECK(night.heart_rate.empty());
  CHECK(night.motion_counts.empty());
}

TEST_CASE("other columns, quotes, carriage returns, blank lines and a mark are passed over") {
  const Folder folder;
  folder.with("stages.csv",
              "\xEF\xBB\xBFt_s,note,stage,events\r\n0,\"a, b\",\"W\",X\r\n\r\n30,,N2,\r\n");
  const Night night = loaded(folder);
  REQUIRE(night.epochs() == 2);
  CHECK(night.stages[0] == NightStage::wake);
  CHECK(night.stages[1] == NightStage::n2);
}

TEST_CASE("rows may come in any order, and the later of two at one moment holds") {
  const Folder folder;
  folder.with("stages.csv", "t_s,stage\n30,N1\n0,W\n0,W\n")
      .with("heart_rate.csv", "t_s,bpm\n10,70\n5,60\n5,61\n");
  const Night night = loaded(folder);
  CHECK(night.stages == std::vector<NightStage>{NightStage::wake, NightStage::n1});
  REQUIRE(night.heart_rate.size() == 2);
  CHECK(night.heart_rate[0].value == 61.0);
  CHECK(night.heart_rate[1].value == 70.0);
}

TEST_CASE("beats become the rate of a watch: whole beats a minute every 5 s over 7 s") {
  const Folder folder;
  std::string beats = "t_s,rr_s\n";
  for (int i = 1; i <= 60; ++i) {
    beats += std::to_string(i) + ".0,1.0\n";  // 60 a minute
  }
  for (int i = 1; i <= 75; ++i) {
    beats += std::to_string(60.0 + 0.8 * i) + ",0.8\n";  // 75 a minute
  }
  folder.with("stages.csv", "t_s,stage\n0,W\n90,W\n").with("beats.csv", beats);
  const Night night = loaded(folder);
  REQUIRE(night.heart_rate.size() == 22);
  CHECK(night.heart_rate.front().t_s == 10.0);
  CHECK(night.heart_rate.front().value == 60.0);
  CHECK(night.heart_rate[10].value == 60.0);
  // 65 s: the beats of [58, 65] are three of 1 s and six of 0.8 s.
  CHECK(night.heart_rate[11].value == std::nearbyint(60.0 * 9 / (3 * 1.0 + 6 * 0.8)));
  CHECK(night.heart_rate.back().value == 75.0);
}

TEST_CASE("a beat that cannot be one is left out of the rate") {
  const Folder folder;
  std::string beats = "t_s,rr_s\n";
  for (int i = 1; i <= 29; ++i) {
    beats += std::to_string(i) + ".0," + (i == 17 ? "0.5" : i == 18 ? "3.0" : "1.0") + "\n";
  }
  folder.with("stages.csv", "t_s,stage\n0,W\n").with("beats.csv", beats);
  for (const TimedValue& rate : loaded(folder).heart_rate) {
    CHECK(rate.value == 60.0);
  }
}

TEST_CASE("a heart rate that was recorded is used before beats") {
  const Folder folder;
  folder.with("stages.csv", "t_s,stage\n0,W\n")
      .with("heart_rate.csv", "t_s,bpm\n1,50\n")
      .with("beats.csv", "t_s,rr_s\nnonsense\n");
  CHECK(loaded(folder).heart_rate.size() == 1);
}

TEST_CASE("what is missing is named") {
  std::string error;
  CHECK_FALSE(load_night("/nowhere/night", error));
  CHECK(has(error, "no folder /nowhere/night"));
  const Folder folder;
  folder.with("heart_rate.csv", "t_s,bpm\n1,50\n");
  CHECK(has(complaint_about(folder), "holds no stages.csv"));
}

TEST_CASE("what cannot be read is named with its file and line") {
  const std::string good = "t_s,stage\n0,W\n";
  const Folder folder;
  const auto complaint = [&folder](const char* name, const std::string& content) {
    folder.with(name, content);
    return complaint_about(folder);
  };
  CHECK(has(complaint("stages.csv", ""), "stages.csv is empty"));
  CHECK(has(complaint("stages.csv", "\n\n"), "stages.csv is empty"));
  CHECK(has(complaint("stages.csv", "t_s,stage\n"), "stages.csv holds no epoch"));
  CHECK(has(complaint("stages.csv", "0,W\n30,W\n"), "stages.csv, line 1: the first line must"));
  CHECK(has(complaint("stages.csv", "t_s,stage\n0,W\n\n30\n"), "line 4: fewer columns"));
  CHECK(has(complaint("stages.csv", "t_s,stage\n0,W\n3O,W\n"), "line 3: '3O' in column t_s"));
  CHECK(has(complaint("stages.csv", "t_s,stage\nnan,W\n"), "line 2: 'nan' in column t_s"));
  CHECK(has(complaint("stages.csv", "t_s,stage\n0,S2\n"), "line 2: 'S2' is no stage"));
  CHECK(has(complaint("stages.csv", "t_s,stage\n-60,W\n"), "line 2: an epoch before"));
  CHECK(has(complaint("stages.csv", "t_s,stage\n0,W\n1e18,W\n"), "line 3: the time '1e18'"));
  CHECK(has(complaint("stages.csv", "t_s,stage\n0,W\n0,R\n"), "line 3: a second, different"));
  folder.with("stages.csv", good);
  CHECK(has(complaint("heart_rate.csv", "t_s,bpm\n1,6o\n"), "heart_rate.csv, line 2: '6o'"));
  CHECK(has(complaint("heart_rate.csv", "t_s,bpm\n1,-6\n"), "line 2: -6 bpm is no heart rate"));
  CHECK(has(complaint("heart_rate.csv", "t_s,hr\n1,60\n"), "columns t_s and bpm"));
  folder.with("heart_rate.csv", "t_s,bpm\n");
  CHECK(has(complaint("motion_counts.csv", "t_s,count\n1,x\n"), "motion_counts.csv, line 2"));
}

TEST_CASE("bad bytes in a message are not printed as they are") {
  const Folder folder;
  folder.with("stages.csv", std::string("t_s,stage\n0,\x1B[2J\x00\n", 18));
  CHECK(has(complaint_about(folder), "'?[2J"));
}

TEST_CASE("no bytes make the loader do worse than complain") {
  const Folder folder;
  std::uint32_t state = 7;
  for (int round = 0; round < 300; ++round) {
    std::string bytes = "t_s,stage\n";
    for (int i = 0; i < 200; ++i) {
      state = state * 1664525U + 1013904223U;
      constexpr char kAlphabet[] = "0123456789.,-eWNR\n\r\"\0x";
      bytes += kAlphabet[(state >> 20U) % (sizeof kAlphabet - 1)];
    }
    folder.with("stages.csv", bytes);
    std::string error;
    const auto night = load_night(folder.path(), error);
    CHECK(night.has_value() == error.empty());
  }
}

TEST_CASE("a rate of 0 says that there was none") {
  const Folder folder;
  folder.with("stages.csv", "t_s,stage\n0,W\n")
      .with("heart_rate.csv", "t_s,bpm\n0,60\n10,0\n20,\n");
  const Night night = loaded(folder);
  REQUIRE(night.heart_rate.size() == 2);
  CHECK(night.heart_rate[1].value == 0.0);
}

TEST_CASE("slow and fast hearts have a rate, and beats that cannot be do not begin one") {
  for (const double rr_s : {0.4, 1.9}) {
    const Folder folder;
    std::string beats = "t_s,rr_s\n0.1,0.1\n2.6,2.5\n";
    for (double t_s = 2.6 + rr_s; t_s < 30.0; t_s += rr_s) {
      beats += std::to_string(t_s) + "," + std::to_string(rr_s) + "\n";
    }
    folder.with("stages.csv", "t_s,stage\n0,W\n").with("beats.csv", beats);
    const Night night = loaded(folder);
    REQUIRE(night.heart_rate.size() == 4);
    for (const TimedValue& rate : night.heart_rate) {
      CHECK(rate.value == std::nearbyint(60.0 / rr_s));
    }
  }
}
