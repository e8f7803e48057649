"""A real Home Assistant's MQTT integration, without a face: what it makes of what it hears.

Run by ``tests/acceptance/test_home_assistant.py`` with the Python of an environment of its own,
as it pins hundreds of packages: FOLDER HOST PORT USERNAME PASSWORD CA are its arguments. Each
line on its standard input is answered with one line of JSON: ``devices``, and the ``entities``
with their states.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeassistant import bootstrap, config_entries, core, loader
from homeassistant.helpers import device_registry, entity_registry, translation


async def started(folder: str, broker: dict[str, Any]) -> core.HomeAssistant:
    """Return a Home Assistant with the MQTT integration, as its set-up leaves it."""
    (Path(folder) / "configuration.yaml").touch()
    hass = core.HomeAssistant(folder)
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.config.components |= {"http", "file_upload"}  # for its own dialogues alone
    translation.async_setup(hass)
    await hass.async_start()
    entry = config_entries.ConfigEntry(
        version=1,
        minor_version=2,
        domain="mqtt",
        title="mqtt",
        data=broker,
        options={"discovery": True},
        source="user",
        unique_id=None,
        entry_id="mqtt",
        discovery_keys=MappingProxyType({}),
        subentries_data=(),
    )
    await hass.config_entries.async_add(entry)
    if entry.state is not config_entries.ConfigEntryState.LOADED:
        sys.exit(f"mqtt is {entry.state}: {entry.reason}")
    return hass


def told(hass: core.HomeAssistant) -> dict[str, Any]:
    """Return the devices and the entities, with what the registries know of them."""
    registry = entity_registry.async_get(hass)
    devices = device_registry.async_get(hass).devices.values()
    entities = {}
    for state in hass.states.async_all():
        entry = registry.async_get(state.entity_id)
        entities[state.entity_id] = {
            "state": state.state,
            "attributes": dict(state.attributes),
            "unique_id": entry and entry.unique_id,
            "category": entry and entry.entity_category,
        }
    return {"devices": [it.name for it in devices], "entities": entities}


def settings(host: str, port: str, username: str, password: str, ca: str) -> dict[str, Any]:
    """Return what the integration's dialogue keeps."""
    return {
        "broker": host,
        "port": int(port),
        "username": username,
        "password": password,
        "client_id": username,
        "protocol": "5",
        "certificate": Path(ca).read_text(encoding="ascii"),
        "tls_insecure": False,
    }


async def main() -> None:
    """Serve standard input until its end."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    folder, *where = sys.argv[1:]
    hass = await started(folder, settings(*where))
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        await hass.async_block_till_done()
        sys.stdout.write(json.dumps(told(hass), default=str) + "\n")
        sys.stdout.flush()
    await hass.async_stop(force=True)


asyncio.run(main())
