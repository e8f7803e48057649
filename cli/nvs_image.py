"""Images of an NVS partition, by Espressif's own generator; nothing touches the disk."""

from io import BytesIO
from typing import Any, Final

from esp_idf_nvs_partition_gen import nvs_partition_gen

__all__ = ["NAMESPACE", "SIZE", "nvs_image"]

SIZE: Final = 0x6000
"""Bytes of the partition ``identity``: firmware/partitions/*.csv."""
NAMESPACE: Final = "noctis"
PAGE: Final = 4096


def nvs_image(values: dict[str, bytes]) -> bytes:
    """Return a partition of ``SIZE`` bytes with these blobs in the namespace ``noctis``."""
    image = BytesIO()
    version = nvs_partition_gen.Page.VERSION2  # blobs over more than a page
    # The generator adds the page that the device keeps free.
    nvs: Any = nvs_partition_gen.nvs_open(image, SIZE - PAGE, version)
    nvs_partition_gen.write_entry(nvs, NAMESPACE, "namespace", "", "")
    for name, value in values.items():
        nvs_partition_gen.write_entry(nvs, name, "data", "hex2bin", value.hex())
    nvs_partition_gen.nvs_close(nvs)
    return image.getvalue()
