"""The ticket, held against the ``cryptography`` package in both directions."""

from __future__ import annotations

import random
import secrets

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings, strategies as st

from spiceemu.errors import InvalidData, InvalidValue
from spiceemu.protocol.limits import MAX_PASSWORD_LENGTH
from spiceemu.protocol.link import ticket
from spiceemu.protocol.link.ticket import (
    BLINDING_USES,
    MAX_PLAINTEXT_SIZE,
    PRIME_BITS,
    PUBLIC_EXPONENT,
    PUBLIC_KEY_SIZE,
    TICKET_SIZE,
    Password,
    TicketKey,
    encrypt,
    encrypt_ticket,
    is_probable_prime,
    parse_public_key,
    process_key,
    system_random,
)

OAEP_SHA1 = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
PLAINTEXTS = (b"", b"\0", b"s3cret\0", b"\x01\x01", bytes(range(1, 61)) + b"\0", b"x" * MAX_PLAINTEXT_SIZE)


def their_public_key(public_der: bytes) -> rsa.RSAPublicKey:
    key = serialization.load_der_public_key(public_der)
    assert isinstance(key, rsa.RSAPublicKey)
    return key


@pytest.fixture(scope="module")
def their_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=PUBLIC_EXPONENT, key_size=1024)


def der_of(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def primes_of(key: TicketKey) -> list[int]:
    return [row[0] for row in key._crt]


# --- keys -----------------------------------------------------------------------------------------------------------


def test_public_key_is_read_by_others() -> None:
    key = process_key()
    assert len(key.public_der) == PUBLIC_KEY_SIZE == 162
    numbers = their_public_key(key.public_der).public_numbers()
    assert (numbers.n, numbers.e) == (key.modulus, 65537)
    theirs = their_public_key(key.public_der).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert theirs == key.public_der


def test_public_keys_of_others_are_read(their_key: rsa.RSAPrivateKey) -> None:
    assert parse_public_key(der_of(their_key)) == their_key.public_key().public_numbers().n


def test_a_key_of_two_primes_is_the_same_as_theirs(their_key: rsa.RSAPrivateKey) -> None:
    numbers = their_key.private_numbers()
    key = TicketKey((numbers.p, numbers.q))
    assert key.public_der == der_of(their_key)
    (_, exponent_p, _, _), (_, exponent_q, product, inverse) = key._crt
    assert (exponent_p, exponent_q) == (numbers.dmp1, numbers.dmq1)
    assert product == numbers.p
    assert inverse == pow(numbers.p, -1, numbers.q)
    for plaintext in PLAINTEXTS:
        assert key.decrypt(their_key.public_key().encrypt(plaintext, OAEP_SHA1)) == plaintext


def test_made_keys_are_sound() -> None:
    source = random.Random(20101)
    for _ in range(12):
        key = TicketKey.generate(source.getrandbits)
        primes = primes_of(key)
        product = 1
        for prime, bits in zip(primes, PRIME_BITS, strict=True):
            product *= prime
            assert prime.bit_length() == bits
            assert all(pow(base, prime - 1, prime) == 1 for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29))
            assert (prime - 1) % PUBLIC_EXPONENT != 0
        assert product == key.modulus
        assert key.modulus.bit_length() == 1024
        # The exponent the primes imply undoes the public one: RFC 8017 section 3.2.
        order = 1
        for prime in primes:
            order *= prime - 1
        private = pow(PUBLIC_EXPONENT, -1, order)
        message = source.getrandbits(1000)
        assert pow(pow(message, PUBLIC_EXPONENT, key.modulus), private, key.modulus) == message
        ciphertext = their_public_key(key.public_der).encrypt(b"s3cret\0", OAEP_SHA1)
        assert key.decrypt(ciphertext) == b"s3cret\0"


def test_the_source_of_randomness_decides_the_key() -> None:
    keys = [TicketKey.generate(random.Random(seed).getrandbits).public_der for seed in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]
    assert TicketKey.generate(secrets.randbits).public_der != TicketKey.generate().public_der


def test_primes_go_with_the_exponent(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the real exponent one prime in 65537 is unfit, of this one every other prime.
    monkeypatch.setattr(ticket, "PUBLIC_EXPONENT", 3)
    for seed in range(4):
        assert all(prime % 3 == 2 for prime in primes_of(TicketKey.generate(random.Random(seed).getrandbits)))


def test_one_key_a_process() -> None:
    assert process_key() is process_key()


def test_primes_that_make_no_key_are_refused() -> None:
    first, second, third = primes_of(process_key())
    for primes in ((first, second), (first, second, second), (3, first, second)):
        with pytest.raises(InvalidValue):
            TicketKey(primes)
    # A number, prime or not, whose predecessor the public exponent divides has no private exponent.
    unfit = (third // PUBLIC_EXPONENT * PUBLIC_EXPONENT + 1) | 1
    while (unfit - 1) % PUBLIC_EXPONENT:
        unfit += 2
    with pytest.raises(InvalidValue, match="exponent"):
        TicketKey((first, second, unfit))


def test_small_numbers_by_miller_rabin() -> None:
    source = random.Random(7).getrandbits
    below = 3000
    composite = {product for factor in range(2, 60) for product in range(2 * factor, below, factor)}
    for number in range(5, below, 2):
        assert is_probable_prime(number, source) is (number not in composite)
    # Carmichael numbers deceive Fermat's test with every base.
    for number in (561, 41041, 825265, 321197185, 9746347772161):
        assert not is_probable_prime(number, source)


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 160, 341, 1023])
def test_system_randomness_has_so_many_bits(bits: int) -> None:
    drawn = [system_random(bits) for _ in range(60)]
    assert max(drawn).bit_length() == bits
    assert len(set(drawn)) > 1


# --- tickets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plaintext", PLAINTEXTS)
def test_we_read_what_others_encrypt(plaintext: bytes) -> None:
    key = process_key()
    assert key.decrypt(their_public_key(key.public_der).encrypt(plaintext, OAEP_SHA1)) == plaintext


@pytest.mark.parametrize("plaintext", PLAINTEXTS)
def test_others_read_what_we_encrypt(plaintext: bytes, their_key: rsa.RSAPrivateKey) -> None:
    ciphertext = encrypt(der_of(their_key), plaintext)
    assert len(ciphertext) == TICKET_SIZE
    assert their_key.decrypt(ciphertext, OAEP_SHA1) == plaintext


def test_a_password_travels_with_its_nul(their_key: rsa.RSAPrivateKey) -> None:
    assert their_key.decrypt(encrypt_ticket(der_of(their_key), b""), OAEP_SHA1) == b"\0"
    assert their_key.decrypt(encrypt_ticket(der_of(their_key), b"x" * 60), OAEP_SHA1) == b"x" * 60 + b"\0"


@given(plaintext=st.binary(max_size=MAX_PLAINTEXT_SIZE), seed=st.integers(0, 1 << 32))
def test_what_goes_in_comes_out(plaintext: bytes, seed: int) -> None:
    key = process_key()
    assert key.decrypt(encrypt(key.public_der, plaintext, random_bits=random.Random(seed).getrandbits)) == plaintext


def test_two_tickets_of_one_password_differ() -> None:
    der = process_key().public_der
    assert encrypt_ticket(der, b"s3cret") != encrypt_ticket(der, b"s3cret")


def test_blinding_is_renewed_and_never_shows() -> None:
    drawn = []

    def counted(bits: int) -> int:
        drawn.append(bits)
        return system_random(bits)

    key = TicketKey(tuple(primes_of(process_key())), random_bits=counted)
    ciphertext = encrypt_ticket(key.public_der, b"s3cret")
    factors = set()
    for _ in range(2 * BLINDING_USES):
        assert key.decrypt(ciphertext) == b"s3cret\0"
        factors.add(key._blinding[0])
    assert len(drawn) == 2
    assert len(factors) == 2 * BLINDING_USES


@given(st.binary(min_size=TICKET_SIZE, max_size=TICKET_SIZE))
@settings(max_examples=50)
def test_foreign_bytes_are_no_ticket(ciphertext: bytes) -> None:
    assert process_key().decrypt(ciphertext) is None


def test_a_number_beyond_the_modulus_is_no_ticket() -> None:
    key = process_key()
    modulus = key.modulus
    for number in (modulus, modulus + 1, (1 << 1024) - 1):
        assert key.decrypt(number.to_bytes(TICKET_SIZE)) is None
    # Not even one that is a good ticket but for a multiple of the modulus.
    while True:
        number = int.from_bytes(encrypt_ticket(key.public_der, b"")) + modulus
        if number >> 1024 == 0:
            break
    assert key.decrypt(number.to_bytes(TICKET_SIZE)) is None


def block_of(seed: bytes, data: bytes, first: int = 0) -> bytes:
    """OAEP by hand: mask ``data`` by ``seed`` and the other way round."""
    masked = ticket._xor(data, ticket._mask(seed, len(data)))
    return bytes([first]) + ticket._xor(seed, ticket._mask(masked, 20)) + masked


LABEL = bytes.fromhex("da39a3ee5e6b4b0d3255bfef95601890afd80709")


@pytest.mark.parametrize(
    ("data", "first", "result"),
    [
        (LABEL + bytes(83) + b"\x01ok\0", 0, b"ok\0"),
        (LABEL + bytes(86) + b"\x01", 0, b""),
        (LABEL + bytes(87), 0, None),
        (LABEL + bytes(80) + b"\x02\0\0\x01ok\0", 0, None),
        (LABEL[::-1] + bytes(83) + b"\x01ok\0", 0, None),
        (LABEL + bytes(83) + b"\x01ok\0", 1, None),
    ],
)
def test_every_part_of_the_block_is_checked(data: bytes, first: int, result: bytes | None) -> None:
    key = process_key()
    block = block_of(bytes(range(20)), data, first)
    ciphertext = pow(int.from_bytes(block), PUBLIC_EXPONENT, key.modulus).to_bytes(TICKET_SIZE)
    assert key.decrypt(ciphertext) == result


@pytest.mark.parametrize("size", [0, 127, 129])
def test_a_ticket_has_one_size(size: int) -> None:
    with pytest.raises(InvalidValue, match=str(size)):
        process_key().decrypt(bytes(size))


def test_what_does_not_fit_is_refused() -> None:
    der = process_key().public_der
    with pytest.raises(InvalidValue, match="61"):
        encrypt_ticket(der, b"x" * 61)
    with pytest.raises(InvalidValue, match="NUL"):
        encrypt_ticket(der, b"a\0b")
    with pytest.raises(InvalidValue, match="87"):
        encrypt(der, b"x" * 87)


def changed(der: bytes, index: int, value: int) -> bytes:
    return der[:index] + bytes([value]) + der[index + 1 :]


def test_only_the_one_encoding_is_a_public_key() -> None:
    der = process_key().public_der
    parse_public_key(der)
    bad = [changed(der, index, der[index] ^ 1) for index in (*range(29), *range(157, 162))]
    bad += [
        bytes(162),
        der[:-1],
        der + b"\0",
        b"",
        changed(der, 29, der[29] & 0x7F),
        changed(der, 156, der[156] & 0xFE),
    ]
    for value in bad:
        with pytest.raises(InvalidData):
            parse_public_key(value)


# --- passwords ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("candidate", [b"s3cret", b"s3cret\0", b"s3cret\0more"])
def test_right_password(candidate: bytes) -> None:
    assert Password("s3cret").verify(candidate, 0.0)
    assert Password(b"s3cret").verify(candidate, 0.0)


@pytest.mark.parametrize("candidate", [None, b"", b"\0", b"\0s3cret", b"s3cre", b"s3cret ", b"S3cret", b"x" * 86])
def test_wrong_password(candidate: bytes | None) -> None:
    assert not Password("s3cret").verify(candidate, 0.0)


@pytest.mark.parametrize("value", [None, "", b""])
def test_no_password_takes_any_ticket_that_decrypts(value: str | bytes | None) -> None:
    password = Password(value, expires_at=5.0)
    assert not password.required
    assert password.verify(b"", 10.0)
    assert password.verify(b"anything\0", 10.0)
    assert not password.verify(None, 10.0)


def test_a_password_expires() -> None:
    password = Password("s3cret", expires_at=5.0)
    assert password.required
    assert password.verify(b"s3cret", 5.0)
    assert not password.verify(b"s3cret", 5.01)
    assert Password("s3cret").verify(b"s3cret", 1e12)


def test_text_is_sent_as_utf8() -> None:
    assert Password("pässwörd").verify("pässwörd".encode() + b"\0", 0.0)


def test_a_password_that_cannot_travel_is_refused() -> None:
    Password("x" * MAX_PASSWORD_LENGTH)
    for value in ("x" * 61, "ä" * 31, "a\0b", "\ud800"):
        with pytest.raises(InvalidValue):
            Password(value)


def test_a_password_does_not_show_itself() -> None:
    assert "s3cret" not in repr(Password("s3cret"))
    assert repr(Password(None)) == "Password(none, expires_at=None)"
