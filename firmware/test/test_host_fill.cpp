#include <doctest/doctest.h>

#include "capacity.hpp"
#include "fill.hpp"
#include "nor_file.hpp"
#include "spool_identity.hpp"
#include "temporary_folder.hpp"

using namespace noctis;
using namespace noctis::host;

TEST_CASE(
    "a filled chip owes every epoch, back to back until the end, to its own device alone") {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("chip.nor");
  std::string error;
  constexpr std::uint32_t kEnd = 1'790'000'000;
  REQUIRE(fill({"t1", "d1", path, 1000, kEnd}, error));
  const auto chip = NorFile::open(path, error);
  REQUIRE(chip);
  Spool spool(*chip, spool_identity("t1", "d1", chip->chip_tag()));
  CHECK(spool.mount() == Spool::Mount::ready);
  CHECK(spool.backlog() == 1000);
  SpoolReader reader(spool, 0, spool.next_seq(), SpoolReader::Which::undone);
  EpochRecord record{};
  std::uint32_t number = 0;
  while (reader.next(record)) {
    const std::uint32_t begin_s =
        decode_run(record.run).utc_s + 30 * (record.seq - record.run_seq - 1);
    REQUIRE(begin_s == kEnd - 30 * (1000 - number));
    REQUIRE(record.slot == encode_slot(made_up_epoch(number)));
    ++number;
  }
  CHECK(number == 1000);
  Spool other(*chip, spool_identity("t1", "d2", chip->chip_tag()));
  CHECK(other.mount() == Spool::Mount::new_stream);
}

TEST_CASE("a chip in use is not filled, and a call that says too little says what is missing") {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("chip.nor");
  std::string error;
  REQUIRE(fill({"t1", "d1", path, 5, 1'790'000'000}, error));
  CHECK_FALSE(fill({"t1", "d1", path, 5, 1'790'000'000}, error));
  CHECK(error.find("in use") != std::string::npos);
  const char* few[] = {"--tenant", "t1", "--device", "d1"};
  CHECK(fill_command(4, few) == 2);
  const std::string fresh = folder.file("other.nor");
  const char* all[] = {"--tenant",    "t1",       "--device", "d1",    "--nor",
                       fresh.c_str(), "--epochs", "7",        "--end", "900000"};
  CHECK(fill_command(10, all) == 0);
}
