"""The server's TLS context and throw-away certificates, by handshakes in memory."""

from __future__ import annotations

import ssl
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from spiceemu.errors import InvalidValue, MissingExtra
from spiceemu.serving.tls import THROWAWAY_DAYS, ThrowawayCertificate, server_context, throwaway_certificate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCertificate:
    return throwaway_certificate(tmp_path_factory.mktemp("certificate"))


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> bytes:
    """Link two TLS ends without a socket, send one message, return what arrives."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    client_end = client.wrap_bio(to_client, to_server, server_hostname=host)
    unfinished = [client_end, server_end]
    for _ in range(6):
        for end in list(unfinished):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            unfinished.remove(end)
    assert not unfinished
    client_end.write(b"REDQ")
    return server_end.read(100)


def client_context(ca_pem: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca_pem)
    # What Python 3.13 and some clients demand of a certificate, on every version.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_clients_with_the_ca_accept_it(made: ThrowawayCertificate, host: str) -> None:
    server = server_context(made.certificate, made.key)
    assert handshake(server, client_context(made.ca_pem), host) == b"REDQ"


def test_clients_refuse_another_host(made: ThrowawayCertificate) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(server_context(made.certificate, made.key), client_context(made.ca_pem), "example.org")


def test_clients_with_another_ca_refuse_it(made: ThrowawayCertificate, tmp_path: Path) -> None:
    other = throwaway_certificate(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(made.certificate, made.key), client_context(other.ca_pem), "localhost")


def test_hosts_can_be_chosen(tmp_path: Path) -> None:
    other = throwaway_certificate(tmp_path, ["desktop.example", "192.0.2.7"])
    assert other.subject == "CN=desktop.example"
    server = server_context(other.certificate, other.key)
    assert handshake(server, client_context(other.ca_pem), "192.0.2.7") == b"REDQ"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client_context(other.ca_pem), "localhost")


def test_what_the_certificate_says(made: ThrowawayCertificate) -> None:
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    ca = x509.load_pem_x509_certificate(made.ca.read_bytes())
    certificate.verify_directly_issued_by(ca)
    assert certificate.subject.rfc4514_string() == made.subject == "CN=localhost"
    assert made.ca.read_text() == made.ca_pem
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 1 + THROWAWAY_DAYS


def test_nobody_keeps_the_key_of_the_ca(made: ThrowawayCertificate) -> None:
    assert sorted(path.name for path in made.ca.parent.iterdir()) == [
        "ca-cert.pem",
        "server-cert.pem",
        "server-key.pem",
    ]
    key = serialization.load_pem_private_key(made.key.read_bytes(), None)
    ca = x509.load_pem_x509_certificate(made.ca.read_bytes())
    assert key.public_key() != ca.public_key()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file modes")
def test_only_the_owner_reads_the_files(made: ThrowawayCertificate) -> None:
    for path in (made.certificate, made.key, made.ca):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_are_never_overwritten(made: ThrowawayCertificate) -> None:
    before = made.key.read_bytes()
    with pytest.raises(InvalidValue, match=r"server-cert\.pem"):
        throwaway_certificate(made.key.parent)
    assert made.key.read_bytes() == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"absent.*No such file"):
        throwaway_certificate(tmp_path / "absent")


@pytest.mark.parametrize("hosts", [[], ["x" * 65], ["näme"]])
def test_hosts_no_certificate_can_name(tmp_path: Path, hosts: list[str]) -> None:
    with pytest.raises(InvalidValue, match="host"):
        throwaway_certificate(tmp_path, hosts)
    assert not list(tmp_path.iterdir())


def test_the_extra_is_named_when_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(
        MissingExtra, match=r"cryptography: pip install 'spiceemu\[tls\]', or '\.\[tls\]' in a checkout"
    ):
        throwaway_certificate(tmp_path)


# --- the user's own files -------------------------------------------------------------------------------------------


def encrypted_key(made: ThrowawayCertificate, path: Path, password: bytes) -> Path:
    key = serialization.load_pem_private_key(made.key.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )
    )
    return path


def test_certificate_and_key_may_share_a_file(made: ThrowawayCertificate, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(made.certificate.read_bytes() + made.key.read_bytes())
    assert handshake(server_context(both), client_context(made.ca_pem), "localhost") == b"REDQ"


def test_an_encrypted_key_opens_with_its_password(made: ThrowawayCertificate, tmp_path: Path) -> None:
    key = encrypted_key(made, tmp_path / "key.pem", b"open")
    context = server_context(made.certificate, key, password="open")
    assert handshake(context, client_context(made.ca_pem), "localhost") == b"REDQ"


@pytest.mark.parametrize(
    ("password", "text"),
    [(None, "no password is given"), *((wrong, "does not open") for wrong in ("", "wrong", "x" * 1025, "\ud800"))],
)
def test_an_encrypted_key_does_not_open_otherwise(
    made: ThrowawayCertificate, tmp_path: Path, password: str | None, text: str
) -> None:
    key = encrypted_key(made, tmp_path / "key.pem", b"open")
    with pytest.raises(InvalidValue, match=rf"key\.pem: .*{text}"):
        server_context(made.certificate, key, password=password)


def test_a_missing_file_is_named(made: ThrowawayCertificate, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"certificate file .*absent\.pem: No such file"):
        server_context(tmp_path / "absent.pem", made.key)
    with pytest.raises(InvalidValue, match=r"key file .*absent\.pem: No such file"):
        server_context(made.certificate, tmp_path / "absent.pem")
    with pytest.raises(InvalidValue, match="directory"):
        server_context(tmp_path, made.key)


def test_files_that_are_not_pem_are_named(made: ThrowawayCertificate, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"\x30\x82\x01\x00")
    with pytest.raises(InvalidValue, match=r"certificate file .*other: holds no certificate"):
        server_context(other, made.key)
    with pytest.raises(InvalidValue, match=r"key file .*other: holds no private key"):
        server_context(made.certificate, other)
    with pytest.raises(InvalidValue, match=r"key file .*server-cert\.pem: holds no private key"):
        server_context(made.certificate)


def test_damaged_files_are_named(made: ThrowawayCertificate, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pem"
    damaged.write_bytes(made.certificate.read_bytes().replace(b"A", b"!", 20))
    with pytest.raises(InvalidValue, match=r"damaged\.pem"):
        server_context(damaged, made.key)


def test_another_certificates_key_is_told_apart(made: ThrowawayCertificate, tmp_path: Path) -> None:
    other = throwaway_certificate(tmp_path)
    of_another_kind = tmp_path / "rsa.pem"
    of_another_kind.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for key in (other.key, of_another_kind):
        with pytest.raises(InvalidValue, match=rf"key file .*{key.name}: is not the key of certificate file"):
            server_context(made.certificate, key)
