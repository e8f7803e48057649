"""The signed list of revoked certificates, brought up to what the database says."""

from cryptography import x509

from noctis.certificates import Authority
from noctis.errors import CertificateError
from noctis.storage import revocations
from noctis.storage.engine import Connection

__all__ = ["listed", "refresh"]


def listed(pem: str) -> frozenset[str]:
    """Return the serials on a list; raise CertificateError for what is no list in PEM."""
    try:
        found = x509.load_pem_x509_crl(pem.encode())
    except ValueError as error:
        message = "this is no revocation list in PEM"
        raise CertificateError(message, hint="noctis ca init writes a first one") from error
    return frozenset(f"{entry.serial_number:x}" for entry in found)


def refresh(connection: Connection, authority: Authority) -> bool:
    """Sign the list anew where it is not what is due; tell whether it was not."""
    issuer = authority.certificate.fingerprint
    due = revocations.due(connection)
    known = revocations.signed(connection, issuer)
    if known and listed(known) == due.keys():
        return False
    revocations.store(connection, issuer, authority.revocation_list(due.items()))
    return True
