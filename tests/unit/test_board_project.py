"""The ESP32's project: what can be told of it without its compiler."""

import configparser
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
SECTOR = 0x1000
OTA_ALIGNMENT = 0x10000
TABLE_END = 0x9000
MOST_SPOOL = 8 << 20
MEGABYTE = 1 << 20
BOARD_FLASH = {"esp32dev": 4 * MEGABYTE, "esp32-s3-devkitc-1": 8 * MEGABYTE}


@dataclass(frozen=True)
class Partition:
    """A row of a partition table."""

    name: str
    kind: str
    subtype: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def partitions(path: Path) -> list[Partition]:
    rows = [
        [cell.strip() for cell in line.split(",")]
        for line in path.read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    return [
        Partition(name, kind, subtype, int(offset, 0), int(size, 0))
        for name, kind, subtype, offset, size in rows
    ]


def project() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=None)
    parser.read(FIRMWARE / "platformio.ini")
    return parser


def boards() -> list[str]:
    ini = project()
    return [
        s for s in ini.sections() if s.startswith("env:") and ini[s].get("extends") == "esp"
    ]


TABLES = sorted((FIRMWARE / "partitions").glob("*.csv"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_partitions_lie_apart_and_where_the_boot_loader_wants_them(path: Path) -> None:
    table = partitions(path)
    flash = int(path.stem.removesuffix("mb")) * MEGABYTE
    assert table == sorted(table, key=lambda partition: partition.offset)
    assert table[0].offset >= TABLE_END
    assert table[-1].end <= flash
    for before, after in itertools.pairwise(table):
        assert before.end <= after.offset, f"{before.name} runs into {after.name}"
    for partition in table:
        alignment = OTA_ALIGNMENT if partition.kind == "app" else SECTOR
        assert partition.offset % alignment == 0, partition.name
        assert partition.size % SECTOR == 0, partition.name
        assert len(partition.name) <= 16
    assert len({partition.name for partition in table}) == len(table)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_table_has_two_equal_slots_and_what_the_firmware_opens(path: Path) -> None:
    table = {partition.name: partition for partition in partitions(path)}
    assert table["app0"].size == table["app1"].size
    assert (table["app0"].subtype, table["app1"].subtype) == ("ota_0", "ota_1")
    assert (table["otadata"].subtype, table["otadata"].size) == ("ota", 2 * SECTOR)
    for name in ("nvs", "identity"):
        assert (table[name].kind, table[name].subtype) == ("data", "nvs")
        assert table[name].size >= 3 * SECTOR  # NVS needs a spare page
    if spool := table.get("spool"):
        assert spool.kind == "data"
        assert 4 * SECTOR <= spool.size <= MOST_SPOOL


def test_only_tables_without_a_chip_beside_have_a_spool() -> None:
    ini = project()
    for section in boards():
        table = partitions(FIRMWARE / ini[section]["board_build.partitions"])
        has_spool = any(partition.name == "spool" for partition in table)
        assert has_spool != ("NOCTIS_SPOOL_W25Q64" in ini[section]["build_flags"]), section


def test_every_board_has_a_table_of_its_size_and_a_target_of_its_own() -> None:
    ini = project()
    targets = set()
    for section in boards():
        board = ini[section]
        flash = BOARD_FLASH[board["board"]]
        if size := board.get("board_upload.flash_size"):
            flash = int(size.removesuffix("MB")) * MEGABYTE
        table = partitions(FIRMWARE / board["board_build.partitions"])
        assert table[-1].end <= flash, section
        target = re.search(r'-DNOCTIS_TARGET=\\"([a-z0-9-]{1,15})\\"', board["build_flags"])
        assert target, section
        assert "${env.build_flags}" in board["build_flags"]
        targets.add(target[1])
    assert len(targets) == len(boards()) >= 3


def test_the_platform_is_pinned_and_nothing_else_is_downloaded_by_name() -> None:
    text = (FIRMWARE / "platformio.ini").read_text()
    addresses = re.findall(r"\w+://\S+", text)
    assert len(addresses) == 1
    assert re.search(
        r"/pioarduino/platform-espressif32/releases/download/\d\d\.\d\d\.\d+/", text
    )
    assert "lib_deps" not in text


def test_the_core_is_compiled_as_on_the_computer() -> None:
    flags = project()["env"]["build_flags"].split()
    assert "-std=gnu++17" in flags
    assert "-ffp-contract=off" in flags


def test_the_native_build_takes_files_that_there_are() -> None:
    native = project()["env:native"]
    for pattern in re.findall(r"[+-]<\.\./([^>]+)>", native["build_src_filter"]):
        assert list(FIRMWARE.glob(pattern)), pattern
    for library in re.findall(r"-I(\S+)", native["build_flags"]):
        assert (FIRMWARE / library).is_dir()


SOURCES = sorted((FIRMWARE / "src").glob("*.?pp"))


def folders() -> list[Path]:
    return [FIRMWARE / "src", *(FIRMWARE / "lib").glob("*/include")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_adapters_are_thin_and_include_what_there_is(path: Path) -> None:
    text = path.read_text()
    most = 250 if path.name == "main.cpp" else 150
    assert len(text.splitlines()) <= most
    for name in re.findall(r'#include "([^"]+)"', text):
        assert any((folder / name).is_file() for folder in folders()), name
    for name in re.findall(r"#include <([^>]+)>", text):
        assert not any((folder / name).is_file() for folder in folders()), name


def test_no_header_of_the_sdk_is_imitated() -> None:
    sdk = {
        name.rsplit("/", 1)[-1]
        for path in SOURCES
        for name in re.findall(r"#include <([^>]+\.h)>", path.read_text())
    }
    ours = {path.name for path in FIRMWARE.rglob("*.h*")}
    assert sdk
    assert not sdk & ours
