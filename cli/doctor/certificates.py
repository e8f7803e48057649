"""Certificates: whether they still hold, whether they fit, who can read their keys."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site
from noctis.certificates import CERTIFICATE_FILE, KEY_FILE, Authority
from noctis.errors import CertificateError

__all__ = ["look"]

_topic: Final = Topic("certificates")
SOON: Final = timedelta(days=30)
SERVER: Final = "server.crt"
REVOKED: Final = "revoked.crl"
_RENEW: Final = "noctis ca server NAME ..., which a running broker takes within seconds"
_CURES: Final = {
    CERTIFICATE_FILE: "a new CA (noctis ca init elsewhere), and every device claimed anew",
    SERVER: _RENEW,
    REVOKED: "noctis ca init wrote the first one; the companion signs the next",
}


def look(site: Site) -> Iterator[Finding]:
    """Read the CA, the broker's certificate and the list of the revoked, where they are."""
    ca = site.settings.ca_folder if site.settings else site.var / "ca"
    folders = [it for it in (site.own.certificates, site.var / "certificates") if it]
    files = [ca / CERTIFICATE_FILE]
    for folder in folders:
        files += [folder / name for name in (CERTIFICATE_FILE, SERVER, REVOKED)]
    files += [site.var / "broker" / name for name in (SERVER, REVOKED)]
    present = [path for path in files if _exists(path)]
    if not present:
        yield _topic.ok("none", "no TLS here: everything stays on this machine")
        return
    for path in dict.fromkeys(present):
        yield _ends(path)
    yield from _pair(ca)
    yield from _keys([ca / KEY_FILE, *(folder / "server.key" for folder in folders)])
    yield from _signed(ca, [it for it in present if it.name == SERVER])


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return False


def _ends(path: Path) -> Finding:
    try:
        begins, ends = _validity(path)
    except (ValueError, OSError) as error:
        return _topic.fault(
            "damaged",
            f"{path} cannot be read: {error}",
            means="the broker does not start, or lets nobody in",
            cure=_CURES[path.name],
            of=path.name,
        )
    now = datetime.now(UTC)
    told = f"{path} is good until {ends:%Y-%m-%d}"
    if not begins <= now < ends:
        return _topic.fault(
            "ended",
            f"{path} was good from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}",
            means="whoever looks at it ends the connection",
            cure=_CURES[path.name],
            of=path.name,
        )
    if ends - now < SOON:
        return _topic.warning(
            "ends-soon",
            f"{told}: {(ends - now).days} days",
            means="after that nobody trusts it, and devices and apps stay outside",
            cure=_CURES[path.name],
            of=path.name,
        )
    return _topic.ok("holds", told, of=path.name)


def _validity(path: Path) -> tuple[datetime, datetime]:
    data = path.read_bytes()
    if path.name == REVOKED:
        found = x509.load_pem_x509_crl(data)
        return found.last_update_utc, found.next_update_utc or datetime.max.replace(tzinfo=UTC)
    certificate = x509.load_pem_x509_certificate(data)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _pair(ca: Path) -> Iterator[Finding]:
    if not _exists(ca / KEY_FILE):
        return
    try:
        Authority.load(ca)
    except CertificateError as error:
        yield _topic.fault(
            "ca-broken",
            f"the CA in {ca} does not work: {error.message}",
            means="no device and no broker can be certified, no revocation signed",
            cure=error.hint or "restore it from a backup: noctis restore",
            of="ca",
        )


def _keys(keys: list[Path]) -> Iterator[Finding]:
    for path in keys:
        if not _exists(path):
            continue
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield _topic.warning(
                "key-open",
                f"others on this machine may read {path} ({stat.filemode(mode)})",
                means="who has it can pass for the broker or for any device",
                cure=f"chmod 600 {path}",
                of=path.name,
            )
        else:
            yield _topic.ok("key", f"{path} is its owner's alone", of=path.name)


def _signed(ca: Path, servers: list[Path]) -> Iterator[Finding]:
    """Check that the broker's certificate is the CA's: devices trust no other."""
    try:
        authority = x509.load_pem_x509_certificate((ca / CERTIFICATE_FILE).read_bytes())
    except (OSError, ValueError):
        return
    for path in servers:
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            certificate.verify_directly_issued_by(authority)
        except (OSError, ValueError, TypeError):
            continue
        except Exception as error:  # noqa: BLE001 - InvalidSignature is no ValueError
            yield _topic.fault(
                "foreign",
                f"{path} is not signed by the CA in {ca}: {error!r}",
                means="devices that trust this CA refuse the broker",
                cure=_RENEW,
                of=path.name,
            )
