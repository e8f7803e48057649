"""The description of the MQTT topics (AsyncAPI 3.0), made of what speaks them."""

from scripts.asyncapi.channels import CHANNELS, Channel
from scripts.asyncapi.document import as_text, document

__all__ = ["CHANNELS", "Channel", "as_text", "document"]
