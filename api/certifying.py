"""Credentials of devices: a password, or a certificate for the key of a request."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from api.bodies import Body
from api.problems import ProblemError, invalid
from noctis.certificate_requests import LONGEST_REQUEST, read_request
from noctis.certificates import Authority
from noctis.errors import CertificateError
from noctis.identity import DeviceId, Principal
from noctis.settings import Settings
from noctis.storage import accounts, certificates
from noctis.storage.database import Connection

__all__ = ["Credential", "Password", "Wanted", "WantedPassword", "certify", "give_password"]

_PASSWORD: Final = "kR0yP3mJ5Qm6b7sVb1m2lTq9xWc4uZ8a"  # noqa: S105 - an example
_PEM: Final = "-----BEGIN {0}-----\nMIIB...\n-----END {0}-----\n"
_WHERE: Final = ("body", "credential", "request")


class WantedPassword(Body):
    """A password, made by the platform: long, random, and stored hashed."""

    kind: Literal["password"] = "password"


class WantedCertificate(Body):
    """A certificate: nothing secret goes over the line, the key stays in the device."""

    kind: Literal["certificate"]
    request: str = Field(
        max_length=LONGEST_REQUEST,
        description="PKCS #10 in PEM, of the subject `CN=<tenant>/<device>` alone, for a key "
        "of ECDSA P-256 or P-384 or RSA of 2048 to 4096 bits",
        examples=[_PEM.format("CERTIFICATE REQUEST")],
    )


Wanted = Annotated[WantedPassword | WantedCertificate, Field(discriminator="kind")]


class Password(BaseModel):
    """What a device connects to the broker with; it is shown this once."""

    kind: Literal["password"] = "password"
    username: str = Field(description="its client id, too", examples=["home/bedroom"])
    password: str = Field(examples=[_PASSWORD])


class IssuedCertificate(BaseModel):
    """What a device shows the broker; only the holder of the key can use it."""

    kind: Literal["certificate"] = "certificate"
    username: str = Field(description="its client id, too", examples=["home/bedroom"])
    chain: str = Field(
        description="PEM: the device's certificate, then the CA's, by which the device knows "
        "the broker",
        examples=[_PEM.format("CERTIFICATE") * 2],
    )
    serial: str = Field(examples=["3d1f6a40b8"])
    not_after: datetime = Field(description="renew it before, with `:rotate`")


Credential = Annotated[Password | IssuedCertificate, Field(discriminator="kind")]


def certify(
    who: Principal, connection: Connection, device: str, request: str, settings: Settings
) -> IssuedCertificate:
    """Certify the key of a device's request, and remember the certificate.

    Raise ProblemError for a request that is not acceptable, or where there is no CA.
    """
    if not Authority.is_in(settings.ca_folder):
        detail = "this platform certifies no devices: ask for a password"
        raise ProblemError(409, detail, kind="no-ca")
    authority, name = Authority.load(settings.ca_folder), DeviceId(who.tenant, device)
    try:
        issued = authority.issue_device(name, read_request(request, name))
    except CertificateError as error:
        raise invalid(_WHERE, str(error)) from error
    certificates.record(who.tenant, connection, issued)
    return IssuedCertificate(
        username=str(name),
        chain=issued.pem + authority.certificate.pem,
        serial=issued.serial,
        not_after=issued.not_after,
    )


def give_password(who: Principal, connection: Connection, device: str) -> Password:
    """Give a device another password, and end its certificates."""
    username = str(DeviceId(who.tenant, device))
    secret = accounts.set_password(who.tenant, connection, username)
    certificates.revoke_all(who.tenant, connection, device)
    return Password(username=username, password=secret)
