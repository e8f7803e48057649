"""Names in paths. A name ends before a colon: behind it stands a verb, as in ``/d1:revoke``.

So ``GET`` of a path with a verb is no ``GET`` of a device with an odd name, but refused (405).
"""

from typing import Annotated, Final

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor
from typing_extensions import override

__all__ = ["NAME", "DeviceName"]

NAME: Final = "^[a-z0-9-]{1,32}$"
DeviceName = Annotated[str, Path(pattern=NAME, examples=["bedroom"])]


class _Name(Convertor[str]):
    regex = "[^/:]+"

    @override
    def convert(self, value: str) -> str:
        return value

    @override
    def to_string(self, value: str) -> str:
        return value


register_url_convertor("name", _Name())
