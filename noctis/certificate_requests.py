"""Certificate requests (PKCS #10) of devices: what of them is taken, and what is refused."""

from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from noctis.certificates import PublicKey
from noctis.errors import CertificateError
from noctis.identity import DeviceId

__all__ = ["LONGEST_REQUEST", "read_request"]

LONGEST_REQUEST: Final = 16 * 1024
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_RSA_BITS: Final = range(2048, 4096 + 1)
_RSA_EXPONENT: Final = 65537


def read_request(pem: str, device: DeviceId) -> PublicKey:
    """Return the key that a certificate request asks to certify for ``device``.

    Its name must be the device's and nothing more; whatever else it asks for is not granted.
    Raise CertificateError for what is no request, is not signed by its own key (so that nobody
    gets a certificate of a key he does not hold), bears another name, or has a weak key.
    """
    request = _load(pem)
    if not isinstance(request.signature_hash_algorithm, _HASHES):
        message = "the certificate request is signed with a weak hash"
        raise CertificateError(message, hint="sign it with SHA-256")
    named = [(it.oid, it.value) for it in request.subject]
    if named != [(NameOID.COMMON_NAME, str(device))]:
        message = f"the certificate request is for {request.subject.rfc4514_string()!r}"
        raise CertificateError(message, hint=f"its subject must be CN={device} alone")
    return _strong(request.public_key())


def _load(pem: str) -> x509.CertificateSigningRequest:
    """Return a request whose sender holds its key."""
    try:
        request = x509.load_pem_x509_csr(pem.encode()[:LONGEST_REQUEST])
        is_signed = request.is_signature_valid
        request.subject, request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        message = "this is no certificate request in PEM"
        raise CertificateError(message, hint="make one with: openssl req -new") from error
    if not is_signed:
        message = "the certificate request is not signed by the key that it names"
        raise CertificateError(message, hint="sign it with the device's own key")
    return request


def _strong(key: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, rsa.RSAPublicKey):
        is_long = key.key_size in _RSA_BITS
        if is_long and key.public_numbers().e == _RSA_EXPONENT:
            return key
    message = "the key of the certificate request is too weak, or of an unknown kind"
    raise CertificateError(
        message, hint="use ECDSA P-256 or P-384, or RSA of 2048 to 4096 bits"
    )
