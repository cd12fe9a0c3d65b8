"""TLS for the server: a context from the user's certificate, or a throw-away certificate made on the spot.

Clients check a SPICE server's certificate in one of two ways: by a CA they are given plus the host name they called, or
by that CA plus an expected subject (``--spice-ca-file``, ``--spice-host-subject``). A throw-away certificate serves
both: it comes with its own CA, whose key nobody keeps.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spiceemu.errors import InvalidValue, MissingExtra

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
THROWAWAY_DAYS = 365  # long enough for a demo left running, too short to rely on
PRIVATE_MODE = 0o600

# The names QEMU gives the files of its x509-dir.
CERTIFICATE_FILE = "server-cert.pem"
KEY_FILE = "server-key.pem"
CA_FILE = "ca-cert.pem"


def server_context(
    certificate: str | os.PathLike[str], key: str | os.PathLike[str] | None = None, *, password: str | None = None
) -> ssl.SSLContext:
    """Return a server's TLS context: TLS 1.2 or later, no certificate asked of clients.

    :param certificate: PEM file with the certificate, followed by those that lead to its CA, if any.
    :param key: PEM file with the private key; ``None`` if it is in the certificate's file.
    :param password: what the key is encrypted with. Without one an encrypted key is refused; nobody is asked.
    :returns: the context, for :class:`~spiceemu.serving.options.Tls`.
    :raises InvalidValue: a file is missing, unreadable or not what it should be; the text names it and says why.
    """
    import ssl

    key = certificate if key is None else key
    if b"-----BEGIN CERTIFICATE-----" not in _read(certificate, "certificate"):
        raise InvalidValue(f"certificate file {os.fspath(certificate)}: holds no certificate in PEM form")
    if b"PRIVATE KEY-----" not in _read(key, "key"):
        raise InvalidValue(f"key file {os.fspath(key)}: holds no private key in PEM form")

    encrypted = False

    def key_password() -> str:
        # Without this OpenSSL would ask on the terminal, and a server without one would hang.
        nonlocal encrypted
        encrypted = True
        return password or ""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, key_password)
    except (ssl.SSLError, ValueError) as error:  # ValueError: no key can have such a password
        # The second is what OpenSSL says of a key of another kind, such as an RSA key with an EC certificate.
        if getattr(error, "reason", "") in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            text = f"key file {os.fspath(key)}: is not the key of certificate file {os.fspath(certificate)}"
        elif encrypted and password is None:
            text = f"key file {os.fspath(key)}: is encrypted, and no password is given for it"
        elif encrypted:
            text = f"key file {os.fspath(key)}: does not open with the password given for it"
        else:
            text = (
                f"certificate file {os.fspath(certificate)} or key file {os.fspath(key)}: OpenSSL refuses it ({error})"
            )
        raise InvalidValue(text) from error
    return context


class ThrowawayCertificate(NamedTuple):
    """Where a throw-away certificate was written, all PEM files that only their owner can read."""

    certificate: Path
    key: Path
    ca: Path
    """What a client is given to trust, such as ``--spice-ca-file``."""
    ca_pem: str
    """The contents of ``ca``, for a ``.vv`` file."""
    subject: str
    """The certificate's subject as ``--spice-host-subject`` wants it, such as ``CN=localhost``."""


def throwaway_certificate(
    directory: str | os.PathLike[str], hosts: Sequence[str] = LOOPBACK_HOSTS
) -> ThrowawayCertificate:
    """Make a CA and a certificate for some hosts, good for ``THROWAWAY_DAYS``.

    :param directory: existing folder for the three files; the caller removes them.
    :param hosts: names and addresses that clients call the server by; the first is also the subject.
    :returns: where the files are, and the subject.
    :raises InvalidValue: no host is given, or the folder cannot be written or has such files already.
    :raises MissingExtra: the ``cryptography`` package is not installed.
    """
    if not hosts:
        raise InvalidValue("throw-away certificate: it needs the name of at least one host")
    ca, certificate, key = _make_pems(tuple(hosts))
    folder = Path(directory)
    made = ThrowawayCertificate(
        folder / CERTIFICATE_FILE, folder / KEY_FILE, folder / CA_FILE, ca.decode(), f"CN={hosts[0]}"
    )
    for path, pem in ((made.certificate, certificate), (made.key, key), (made.ca, ca)):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
        except OSError as error:
            raise InvalidValue(f"throw-away certificate: cannot write {path}: {error.strerror}") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    return made


def _read(path: str | os.PathLike[str], kind: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidValue(f"{kind} file {os.fspath(path)}: {error.strerror}") from error


def _make_pems(hosts: tuple[str, ...]) -> tuple[bytes, bytes, bytes]:
    """Return CA certificate, server certificate and server key as PEM."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID
    except ImportError as error:
        raise MissingExtra("a throw-away certificate", "cryptography", "tls") from error

    try:
        subject = _name(hosts[0])
        alternative_names = x509.SubjectAlternativeName([_alternative_name(host) for host in hosts])
    except ValueError as error:
        raise InvalidValue(f"throw-away certificate: no certificate can name these hosts: {error}") from error

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name(f"spiceemu throw-away CA {x509.random_serial_number():x}"[:64])
    server_use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (
        _signed(ca_name, ca_key, ca_name, ca_key.public_key()),
        _signed(ca_name, ca_key, subject, key.public_key(), alternative_names, server_use),
        key_pem,
    )


# Names and keys are cryptography's, which comes with an extra and is imported where it is used.


def _name(text: str) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative_name(host: str) -> Any:
    import ipaddress

    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _signed(ca_name: Any, ca_key: Any, subject: Any, public_key: Any, *extensions: Any) -> bytes:
    """Return a certificate as PEM: the CA's own for its own name, else one that it issues."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    is_ca = subject == ca_name
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)  # for clients whose clock is behind
    usage = x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca_name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1 + THROWAWAY_DAYS))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(ca_key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)
