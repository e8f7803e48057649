"""What the Grafana dashboards show: their JSON and the docs' table are made of it."""

from typing import Final

from scripts.dashboards.care import CARE
from scripts.dashboards.devices import DEVICES
from scripts.dashboards.facade import FACADE
from scripts.dashboards.line import LINE

__all__ = ["DASHBOARDS"]

DASHBOARDS: Final = (LINE, DEVICES, FACADE, CARE)
