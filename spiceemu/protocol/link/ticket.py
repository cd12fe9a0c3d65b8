"""The ticket: a password under RSA-1024 with OAEP, from Python's own integers.

The server puts its public key into the link reply, the client answers with its password encrypted for that key. Key
and ticket have one shape each (spice-protocol ``spice/protocol.h``)::

    bytes  public key, DER SubjectPublicKeyInfo, 162 in all
       29  algorithm rsaEncryption, up to the leading zero of the modulus; always the same
      128  modulus, big-endian, top bit set
        5  public exponent 65537; always the same

    bytes  ticket, 128 in all: RSA of this block, RFC 8017 section 7.1 with SHA-1 and MGF1-SHA-1
        1  zero
       20  seed, masked
      107  SHA-1 of nothing, zeros, a one byte, the password and its NUL; masked

The private key has three primes instead of two (RFC 8017 section 3.2), the most that OpenSSL makes at this size.
Nobody can see it from outside; primes of 341 bits are found twice as fast as those of 512 and decrypt faster, and no
known way to factor the modulus gains from it. A key of 1024 bits is weak today whatever its primes: it is the only size
that fits the protocol, so a password that matters wants TLS around it.
"""

from __future__ import annotations

from functools import cache
from math import gcd, prod
from os import urandom
from typing import TYPE_CHECKING

from spiceemu.errors import InvalidData, InvalidValue
from spiceemu.protocol.limits import MAX_PASSWORD_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC_KEY_SIZE = 162
TICKET_SIZE = 128
PUBLIC_EXPONENT = 65537
MODULUS_BITS = TICKET_SIZE * 8
PRIME_BITS = (342, 341, 341)  # top three bits of each set, their product has exactly MODULUS_BITS bits

DER_PREFIX = bytes.fromhex("30819f300d06092a864886f70d010101050003818d0030818902818100")
DER_SUFFIX = bytes.fromhex("0203010001")

HASH_SIZE = 20
EMPTY_HASH = bytes.fromhex("da39a3ee5e6b4b0d3255bfef95601890afd80709")  # SHA-1 of the empty label
MAX_PLAINTEXT_SIZE = TICKET_SIZE - 2 * HASH_SIZE - 2

SMALL_PRIMES_BELOW = 6000  # deeper sieving costs more than the exponentiations it saves
SIEVE_SPAN = 512  # odd numbers tried from one random start; about four of them are prime
MILLER_RABIN_ROUNDS = 3  # a composite of 341 random bits survives with a chance below 2**-45 (Damgard et al. 1993)
BLINDING_USES = 32  # tickets decrypted before a new blinding factor is drawn


def system_random(bits: int) -> int:
    """Return this many random bits from the operating system; ``secrets.randbits`` without its slow import."""
    size = (bits + 7) // 8
    return int.from_bytes(urandom(size)) >> size * 8 - bits


class TicketKey:
    """An RSA key pair for tickets.

    :param primes: the distinct primes of the modulus, which has exactly 1024 bits.
    :param random_bits: source of the blinding factors: given a number of bits, returns an int of at most so many.
    :raises InvalidValue: the primes make no such key.
    """

    __slots__ = ("_blinding", "_crt", "_random_bits", "modulus", "public_der")

    def __init__(self, primes: tuple[int, ...], *, random_bits: Callable[[int], int] = system_random) -> None:
        self.modulus = prod(primes)
        if self.modulus.bit_length() != MODULUS_BITS or len(set(primes)) != len(primes):
            raise InvalidValue(f"ticket key: {len(set(primes))} distinct primes do not make {MODULUS_BITS} bits")
        if any(gcd(PUBLIC_EXPONENT, prime - 1) != 1 for prime in primes):
            raise InvalidValue(f"ticket key: a prime does not go with the public exponent {PUBLIC_EXPONENT}")
        self.public_der = DER_PREFIX + self.modulus.to_bytes(TICKET_SIZE) + DER_SUFFIX
        self._random_bits = random_bits
        # Per prime: itself, its private exponent, the product of the primes before it and that product's inverse.
        products = [prod(primes[:index]) for index in range(len(primes))]
        self._crt = [
            (prime, pow(PUBLIC_EXPONENT, -1, prime - 1), product, pow(product, -1, prime))
            for prime, product in zip(primes, products, strict=True)
        ]
        self._blinding = (0, 0, 0)  # factor, its inverse's power, uses left

    @classmethod
    def generate(cls, random_bits: Callable[[int], int] = system_random) -> TicketKey:
        """Make a new key.

        :param random_bits: source of randomness, such as ``secrets.randbits``; a seeded one makes the same key again.
        :returns: an RSA key of 1024 bits.
        """
        while True:
            primes = tuple(_random_prime(bits, random_bits) for bits in PRIME_BITS)
            if len(set(primes)) == len(primes) and prod(primes).bit_length() == MODULUS_BITS:
                return cls(primes, random_bits=random_bits)

    def decrypt(self, ciphertext: bytes) -> bytes | None:
        """Return what a ticket holds, up to 86 bytes: the password, as a rule with its NUL.

        ``None`` if the 128 bytes were not made for this key or were changed on the way. What to answer then is the
        server's policy: releases before 0.12.5 did not mind when they asked for no password.

        :returns: bytes, or None.
        :raises InvalidValue: the ciphertext has another length.
        """
        if len(ciphertext) != TICKET_SIZE:
            raise InvalidValue(f"ticket: {len(ciphertext)} bytes instead of {TICKET_SIZE}")
        number = int.from_bytes(ciphertext)
        if number >= self.modulus:
            return None
        return _oaep_decode(self._private_operation(number).to_bytes(TICKET_SIZE))

    def _private_operation(self, number: int) -> int:
        # Blinding: the exponentiation sees a number the sender does not know, so its timing tells nothing.
        factor, unblind, uses = self._blinding
        if not uses:
            factor, unblind = self._new_blinding()
            uses = BLINDING_USES
        modulus = self.modulus
        self._blinding = (factor * factor % modulus, unblind * unblind % modulus, uses - 1)
        number = number * factor % modulus
        result = 0
        for prime, exponent, product, inverse in self._crt:
            residue = pow(number % prime, exponent, prime)
            result += product * ((residue - result) * inverse % prime)
        return result * unblind % modulus

    def _new_blinding(self) -> tuple[int, int]:
        while True:
            unblind = self._random_bits(MODULUS_BITS - 1)
            if gcd(unblind, self.modulus) == 1:
                return pow(pow(unblind, -1, self.modulus), PUBLIC_EXPONENT, self.modulus), unblind


@cache
def process_key() -> TicketKey:
    """Return this process's key pair, made at the first call.

    spice-server makes one a link; a client cannot tell, and in Python that would cost every link the search for primes.
    """
    return TicketKey.generate()


def encrypt_ticket(public_der: bytes, password: bytes, *, random_bits: Callable[[int], int] = system_random) -> bytes:
    """Return the 128 bytes a client sends for a password, which may be empty.

    :returns: the ticket.
    :raises InvalidData: the server's public key is not one.
    :raises InvalidValue: the password holds a NUL or more than ``MAX_PASSWORD_LENGTH`` bytes.
    """
    return encrypt(public_der, password_bytes(password) + b"\0", random_bits=random_bits)


def encrypt(public_der: bytes, plaintext: bytes, *, random_bits: Callable[[int], int] = system_random) -> bytes:
    """Return 128 bytes that only the owner of the public key can read: any plaintext of up to 86 bytes.

    :returns: the ciphertext.
    :raises InvalidData: the public key is not one.
    :raises InvalidValue: the plaintext is too long.
    """
    if len(plaintext) > MAX_PLAINTEXT_SIZE:
        raise InvalidValue(f"ticket: {len(plaintext)} bytes of plaintext, at most {MAX_PLAINTEXT_SIZE}")
    modulus = parse_public_key(public_der)
    seed = random_bits(HASH_SIZE * 8).to_bytes(HASH_SIZE)
    block = EMPTY_HASH + bytes(MAX_PLAINTEXT_SIZE - len(plaintext)) + b"\x01" + plaintext
    masked_block = _xor(block, _mask(seed, len(block)))
    masked_seed = _xor(seed, _mask(masked_block, HASH_SIZE))
    return pow(int.from_bytes(masked_seed + masked_block), PUBLIC_EXPONENT, modulus).to_bytes(TICKET_SIZE)


def parse_public_key(public_der: bytes) -> int:
    """Return the modulus of a link reply's public key, by the only encoding it can have.

    :returns: the modulus, a number of 1024 bits.
    :raises InvalidData: anything else, such as the zeros a SASL server sends.
    """
    modulus = public_der[len(DER_PREFIX) : -len(DER_SUFFIX)]
    if len(public_der) != PUBLIC_KEY_SIZE or public_der != DER_PREFIX + modulus + DER_SUFFIX:
        raise InvalidData("link reply: pub_key is not an RSA public key of 1024 bits with exponent 65537")
    if not (modulus[0] & 0x80 and modulus[-1] & 1):
        raise InvalidData("link reply: the modulus in pub_key has less than 1024 bits or is even")
    return int.from_bytes(modulus)


def password_bytes(value: str | bytes | None) -> bytes:
    """Return a password as a ticket holds it, without its NUL: text as UTF-8, ``None`` as nothing.

    :returns: at most ``MAX_PASSWORD_LENGTH`` bytes.
    :raises InvalidValue: it has no UTF-8, or holds a NUL or more than ``MAX_PASSWORD_LENGTH`` bytes.
    """
    try:
        encoded = value.encode() if isinstance(value, str) else value or b""
    except UnicodeEncodeError:
        raise InvalidValue("password: half of a surrogate pair is no text that can be sent") from None
    if len(encoded) > MAX_PASSWORD_LENGTH:
        raise InvalidValue(f"password: {len(encoded)} bytes, at most {MAX_PASSWORD_LENGTH}")
    if b"\0" in encoded:
        raise InvalidValue("password: a NUL ends it, so it cannot hold one")
    return encoded


class Password:
    """What a ticket must hold, and until when.

    :param value: text or bytes, as :func:`password_bytes` takes them; empty or ``None`` asks for no password.
    :param expires_at: time after which no ticket is right any more, on the clock of ``verify``; ``None`` is never.
    :raises InvalidValue: no ticket can hold the value.
    """

    __slots__ = ("_value", "expires_at")

    def __init__(self, value: str | bytes | None = None, expires_at: float | None = None) -> None:
        self._value = password_bytes(value)
        self.expires_at = expires_at

    def __repr__(self) -> str:
        return f"Password({'hidden' if self._value else 'none'}, expires_at={self.expires_at})"

    @property
    def required(self) -> bool:
        """Whether a ticket must hold a certain password."""
        return bool(self._value)

    def verify(self, candidate: bytes | None, now: float) -> bool:
        """Tell whether what a ticket holds is right, in a time that does not depend on where it differs.

        :param candidate: result of :meth:`TicketKey.decrypt`; it counts up to its first NUL, as in spice-server.
            ``None``, a ticket that does not decrypt, is wrong even when no password is asked for (0.12.5 and later).
        :param now: the time, on the clock of ``expires_at``.
        :returns: True where no password is asked for, or this is the right one and its time is not over.
        """
        if candidate is None:
            return False
        if not self._value:
            return True
        from hmac import compare_digest  # here, as it loads OpenSSL: a server listens before it needs it

        given = candidate.partition(b"\0")[0].ljust(MAX_PLAINTEXT_SIZE, b"\0")
        same = compare_digest(given, self._value.ljust(MAX_PLAINTEXT_SIZE, b"\0"))
        return same and (self.expires_at is None or now <= self.expires_at)


def _oaep_decode(block: bytes) -> bytes | None:
    """Take a decrypted block apart. Every check is made whatever the others say, so that time does not tell which."""
    from hmac import compare_digest

    masked_block = block[1 + HASH_SIZE :]
    seed = _xor(block[1 : 1 + HASH_SIZE], _mask(masked_block, HASH_SIZE))
    data = _xor(masked_block, _mask(seed, len(masked_block)))
    padding, one, plaintext = data[HASH_SIZE:].partition(b"\x01")
    good = compare_digest(data[:HASH_SIZE], EMPTY_HASH)
    good &= block[0] == 0
    good &= one == b"\x01"
    good &= compare_digest(padding, bytes(len(padding)))
    return plaintext if good else None


def _mask(seed: bytes, size: int) -> bytes:
    """MGF1 with SHA-1: RFC 8017 appendix B.2.1."""
    from hashlib import sha1

    blocks = range(-(-size // HASH_SIZE))
    return b"".join(sha1(seed + index.to_bytes(4), usedforsecurity=False).digest() for index in blocks)[:size]


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(len(left))


def _random_prime(bits: int, random_bits: Callable[[int], int]) -> int:
    """Return a random prime with its three top bits set that goes with the public exponent."""
    while True:
        start = random_bits(bits) | 7 << bits - 3 | 1
        for candidate in _sieved(start):
            # Fermat to base 2 is Miller-Rabin without its bookkeeping: it drops nearly every composite at once.
            if pow(2, candidate - 1, candidate) == 1 and is_probable_prime(candidate, random_bits):
                if candidate % PUBLIC_EXPONENT != 1:
                    return candidate
                break


def _sieved(start: int) -> list[int]:
    """Return the odd numbers from ``start`` on, ``SIEVE_SPAN`` of them, without those that have a small factor."""
    left = bytearray(b"\x01") * SIEVE_SPAN
    zeros = bytes(SIEVE_SPAN)
    for prime, minus_half in _small_primes():
        first = start % prime * minus_half % prime  # it divides start + 2 * first
        if first < SIEVE_SPAN:
            left[first::prime] = zeros[first::prime]
    return [start + 2 * index for index, coprime in enumerate(left) if coprime]


@cache
def _small_primes() -> list[tuple[int, int]]:
    """Return the odd primes below ``SMALL_PRIMES_BELOW``, each with minus one half modulo itself."""
    half = bytearray(b"\x01") * (SMALL_PRIMES_BELOW // 2)  # half[n] stands for 2 * n + 1
    zeros = bytes(len(half))
    for index in range(1, len(half)):
        number = 2 * index + 1
        if number * number >= SMALL_PRIMES_BELOW:
            break
        if half[index]:
            half[number * number // 2 :: number] = zeros[number * number // 2 :: number]
    return [(2 * index + 1, index) for index in range(1, len(half)) if half[index]]


def is_probable_prime(number: int, random_bits: Callable[[int], int]) -> bool:
    """Miller-Rabin with random bases, ``MILLER_RABIN_ROUNDS`` of them, for a large odd number."""
    odd = number - 1
    twos = (odd & -odd).bit_length() - 1
    odd >>= twos
    for _ in range(MILLER_RABIN_ROUNDS):
        power = pow(2 + random_bits(number.bit_length()) % (number - 3), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
