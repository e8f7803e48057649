// The host's store of small values, whatever becomes of its file.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "file_store.hpp"
#include "host_board.hpp"
#include "temporary_folder.hpp"

using namespace noctis;
using namespace noctis::host;
using namespace noctis::test;

namespace {

using Bytes = std::vector<std::uint8_t>;

std::unique_ptr<FileStore> open_store(const std::string& path) {
  std::string error;
  auto store = FileStore::open(path, error);
  REQUIRE_MESSAGE(store, error);
  return store;
}

bool put(Store& store, const char* name, const std::string& value) {
  return store.put(name, reinterpret_cast<const std::uint8_t*>(value.data()), value.size());
}

std::string get(Store& store, const char* name) {
  std::string value(Store::kMostValue, '\0');
  const auto size =
      store.get(name, reinterpret_cast<std::uint8_t*>(value.data()), value.size());
  value.resize(size.value_or(0));
  return size ? value : "(none)";
}

Bytes bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

TEST_CASE("a value is there after the program ended, until it is removed") {
  const TemporaryFolder folder;
  const std::string path = folder.file("store");
  {
    const auto store = open_store(path);
    CHECK(get(*store, "config") == "(none)");
    CHECK(put(*store, "config", "one"));
    CHECK(put(*store, "config", "two"));
    CHECK(put(*store, "empty", ""));
    CHECK(put_number(*store, "boots", 0xFEDCBA98U));
    CHECK(put(*store, "gone", "soon"));
    CHECK(store->remove("gone"));
    CHECK(store->remove("never-was"));
  }
  const auto store = open_store(path);
  CHECK(get(*store, "config") == "two");
  CHECK(get(*store, "empty").empty());
  CHECK(get(*store, "gone") == "(none)");
  CHECK(get_number(*store, "boots") == 0xFEDCBA98U);
  CHECK_FALSE(get_number(*store, "config"));
}

TEST_CASE("what is too long is refused, and a value that does not fit is not cut") {
  const TemporaryFolder folder;
  const auto store = open_store(folder.file("store"));
  CHECK_FALSE(put(*store, "sixteen-letters-", "value"));
  CHECK_FALSE(put(*store, "", "value"));
  CHECK_FALSE(put(*store, "long", std::string(Store::kMostLarge + 1, 'x')));
  CHECK(put(*store, "fifteen-letters", std::string(Store::kMostLarge, 'x')));
  std::uint8_t little[4];
  CHECK_FALSE(store->get("fifteen-letters", little, sizeof little));
}

TEST_CASE("a write that was cut anywhere leaves the values as they were") {
  const TemporaryFolder folder;
  const std::string path = folder.file("store");
  REQUIRE(put(*open_store(path), "config", "new value"));
  const Bytes fresh = bytes_of(path);
  REQUIRE(put(*open_store(path), "config", "old"));
  for (std::size_t size = 0; size <= fresh.size(); ++size) {
    write_bytes(path + ".new", {fresh.begin(), fresh.begin() + std::ptrdiff_t(size)});
    CHECK(get(*open_store(path), "config") == "old");
  }
  CHECK(put(*open_store(path), "config", "newer"));
  CHECK(get(*open_store(path), "config") == "newer");
}

TEST_CASE("a store that the disk does not take stays as it was") {
  const TemporaryFolder folder;
  const std::string path = folder.file("store");
  const auto store = open_store(path);
  REQUIRE(put(*store, "config", "old"));
  std::filesystem::create_directory(path + ".new");
  CHECK_FALSE(put(*store, "config", "new"));
  CHECK_FALSE(store->remove("config"));
  CHECK(get(*store, "config") == "old");
  CHECK(get(*open_store(path), "config") == "old");
}

TEST_CASE("a store with one byte altered or cut off is refused, not believed") {
  const TemporaryFolder folder;
  const std::string path = folder.file("store");
  REQUIRE(put(*open_store(path), "config", "value"));
  const Bytes good = bytes_of(path);
  std::string error;
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes altered = good;
    altered[i] ^= 0x40U;
    write_bytes(path, altered);
    CHECK_FALSE(FileStore::open(path, error));
    CHECK(error.find("damaged") != std::string::npos);
    write_bytes(path, {good.begin(), good.begin() + std::ptrdiff_t(i)});
    CHECK_FALSE(FileStore::open(path, error));
  }
}

TEST_CASE("whoever is killed while writing leaves whole values") {
  const TemporaryFolder folder;
  const std::string path = folder.file("store");
  REQUIRE(put(*open_store(path), "value", "a"));
  for (int kill = 0; kill < 12; ++kill) {
    const pid_t writer = ::fork();
    if (writer == 0) {
      const auto store = open_store(path);
      for (unsigned i = 0;; ++i) {
        put(*store, "value", std::string(1 + i % 500, char('a' + i % 26)));
      }
    }
    ::usleep(3000);
    ::kill(writer, SIGKILL);
    ::waitpid(writer, nullptr, 0);
    const std::string value = get(*open_store(path), "value");
    CHECK(value == std::string(value.size(), value.front()));
  }
}

TEST_CASE("the host's board says what a light would show, and restarts when it is told to") {
  std::vector<std::string> said;
  HostBoard board(ResetReason::brownout,
                  [&](const std::string& text) { said.push_back(text); });
  CHECK(name_of(board.reset_reason()) == std::string("brownout"));
  board.identify(30);
  board.allow_light(false);
  board.allow_light(false);
  CHECK(said == std::vector<std::string>{"shows itself for 30 s", "its light stays off"});
  CHECK_FALSE(board.restart_due());
  board.restart();
  CHECK(board.restart_due());
  if (const auto free = board.free_heap()) {
    CHECK(*board.least_free_heap() <= *free);
  }
}
