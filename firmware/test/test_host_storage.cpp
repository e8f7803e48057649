// The host's files: chip, log, night mark, passwords.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "epoch_log.hpp"
#include "night_file.hpp"
#include "nor_file.hpp"
#include "passwords.hpp"
#include "spool_helpers.hpp"
#include "temporary_folder.hpp"

using namespace noctis;
using namespace noctis::host;
using namespace noctis::test;

namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("a chip's file behaves like NOR and holds the complement") {
  const TemporaryFolder folder;
  std::string error;
  auto nor = NorFile::open(folder.file("chip"), error);
  REQUIRE_MESSAGE(nor, error);
  std::array<std::uint8_t, 4> bytes{};
  nor->read(5000, bytes.data(), 4);
  CHECK(bytes == std::array<std::uint8_t, 4>{0xFF, 0xFF, 0xFF, 0xFF});
  const std::array<std::uint8_t, 4> first{0x0F, 0xFF, 0x00, 0xAA};
  const std::array<std::uint8_t, 4> second{0x3C, 0xF0, 0xFF, 0xAA};
  CHECK(nor->program(5000, first.data(), 4));
  CHECK(nor->program(5000, second.data(), 4));
  nor->read(5000, bytes.data(), 4);
  CHECK(bytes == std::array<std::uint8_t, 4>{0x0C, 0xF0, 0x00, 0xAA});
  std::ifstream file(folder.file("chip"), std::ios::binary);
  file.seekg(5000);
  CHECK(file.get() == 0xF3);
  nor.reset();
  nor = NorFile::open(folder.file("chip"), error);  // and again from the disk
  nor->read(5000, bytes.data(), 4);
  CHECK(bytes == std::array<std::uint8_t, 4>{0x0C, 0xF0, 0x00, 0xAA});
  CHECK(nor->erase(1));
  nor->read(5000, bytes.data(), 4);
  CHECK(bytes == std::array<std::uint8_t, 4>{0xFF, 0xFF, 0xFF, 0xFF});
}

TEST_CASE("a chip that holds little takes little disk") {
  const TemporaryFolder folder;
  std::string error;
  auto nor = NorFile::open(folder.file("chip"), error);
  REQUIRE(nor);
  const std::uint8_t byte = 0;
  for (std::uint32_t sector = 0; sector < 2048; ++sector) {
    nor->program(sector * 4096, &byte, 1);
    nor->erase(sector);
  }
  nor->program(0, &byte, 1);
  struct stat status{};
  REQUIRE(::stat(folder.file("chip").c_str(), &status) == 0);
  CHECK(status.st_size == 8 * 1024 * 1024);
  CHECK(status.st_blocks * 512 <= 64 * 1024);
}

TEST_CASE("a chip serves one process; a copy is another chip; other files are none") {
  const TemporaryFolder folder;
  std::string error;
  const auto nor = NorFile::open(folder.file("chip"), error);
  REQUIRE(nor);
  CHECK_FALSE(NorFile::open(folder.file("chip"), error));
  CHECK(error.find("in use") != std::string::npos);
  std::filesystem::copy_file(folder.file("chip"), folder.file("copy"));
  const auto copy = NorFile::open(folder.file("copy"), error);
  REQUIRE(copy);
  CHECK(copy->chip_tag() != nor->chip_tag());
  write_file(folder.file("letter"), "dear");
  CHECK_FALSE(NorFile::open(folder.file("letter"), error));
  CHECK(error.find("no flash chip") != std::string::npos);
  CHECK(lines_of(folder.file("letter")) == std::vector<std::string>{"dear"});
}

TEST_CASE("the log gets what the spool holds and it lacks, once") {
  const TemporaryFolder folder;
  std::string error;
  const auto nor = NorFile::open(folder.file("chip"), error);
  REQUIRE(nor);
  Spool spool(*nor, {1, 2, 0xABCDEF});
  spool.mount();
  std::mt19937_64 random(1);
  for (std::uint32_t i = 0; i < 300; ++i) {
    REQUIRE(spool.append(random_epoch(random), {30 * i, 1'700'000'000 + 30 * i, {}}));
  }
  {
    EpochLog log;
    REQUIRE(log.open(folder.file("log"), "t1", "d1", error));
    CHECK(log.reconcile(spool));
    CHECK(log.reconcile(spool));
  }
  auto lines = lines_of(folder.file("log"));
  REQUIRE(lines.size() == 300);
  CHECK(lines[0].find(R"({"tenant":"t1","device":"d1","stream":"0000000000abcdef","seq":1,)"
                      R"("boot":1,"ticks":0,"utc":1700000000,"record_hex":")") == 0);
  CHECK(lines[299].find(R"("seq":301,"boot":1,"ticks":8970,"utc":1700008970,)") !=
        std::string::npos);
  // A machine's crash cut the last line short, and lines of others follow.
  const auto size = std::filesystem::file_size(folder.file("log"));
  std::filesystem::resize_file(folder.file("log"), size - 10);
  {
    EpochLog other;
    REQUIRE(other.open(folder.file("log"), "t1", "d2", error));
    CHECK(other.reconcile(spool));
    EpochLog log;
    REQUIRE(log.open(folder.file("log"), "t1", "d1", error));
    CHECK(log.reconcile(spool));
  }
  lines = lines_of(folder.file("log"));
  REQUIRE(lines.size() == 300 + 300 + 1);
  CHECK(lines.back().find(R"("device":"d1")") != std::string::npos);
  CHECK(lines.back().find(R"("seq":301,)") != std::string::npos);
  CHECK(lines.back().find(R"("published_at":null,"began_at":null})") != std::string::npos);
}

TEST_CASE("a full disk appends nothing to the log") {
  if (::access("/dev/full", W_OK) != 0) {
    return;
  }
  EpochLog log;
  std::string error;
  REQUIRE(log.open("/dev/full", "t1", "d1", error));
  const Slot run = encode_slot(Run{RunReason::boot, 0, 1, 0, 0});
  CHECK_FALSE(log.append({1, 1, 0, run, encode_slot(Epoch{})}, 1.25, 1.5));
}

TEST_CASE("the night mark is read as it was written; anything else is none") {
  const TemporaryFolder folder;
  const std::string path = folder.file("chip.night");
  CHECK_FALSE(load_mark(path));
  REQUIRE(save_mark(path, {"seed 1, 8 h", 1700000000.25, 4000000000U, 123456.5}));
  const auto mark = load_mark(path);
  REQUIRE(mark);
  CHECK(mark->night == "seed 1, 8 h");
  CHECK(mark->start_s == 1700000000.25);
  CHECK(mark->seq == 4000000000U);
  CHECK(mark->place_s == 123456.5);
  write_file(path, R"({"night":"seed 1, 8 h","start":17)");
  CHECK_FALSE(load_mark(path));
  write_file(path, R"({"night":1,"start":17,"seq":0,"place":0})");
  CHECK_FALSE(load_mark(path));
}

TEST_CASE("passwords come one for all or one a device") {
  const TemporaryFolder folder;
  std::string error;
  write_file(folder.file("many"), "t1/d1:se:cret\nt1/d2:other\r\n");
  Passwords many;
  REQUIRE(many.load(folder.file("many"), error));
  CHECK(many.of("t1/d1") == "se:cret");
  CHECK(many.of("t1/d2") == "other");
  CHECK(many.of("t1/d3").empty());
  write_file(folder.file("one"), "pass:word\n");
  Passwords one;
  REQUIRE(one.load(folder.file("one"), error));
  CHECK(one.of("t1/d3") == "pass:word");
  write_file(folder.file("none"), "\n");
  CHECK_FALSE(Passwords().load(folder.file("none"), error));
  CHECK_FALSE(Passwords().load(folder.file("missing"), error));
}
