"""Ed25519 as RFC 8032 writes it, in a few lines: slow, and only as careful as an attacker has to be."""

import hashlib

__all__ = ["public_key", "sign"]

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    m, n = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def base_point():
    y = 4 * pow(5, P - 2, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    x = P - x if x & 1 else x
    return x, y, 1, x * y % P


BASE = base_point()


def packed(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def expanded(seed: bytes):
    digest = hashlib.sha512(seed).digest()
    number = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    return number, digest[32:]


def public_key(seed: bytes) -> bytes:
    return packed(times(expanded(seed)[0], BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    number, prefix = expanded(seed)
    public = packed(times(number, BASE))
    once = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % Q
    point = packed(times(once, BASE))
    challenge = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little") % Q
    return point + ((once + challenge * number) % Q).to_bytes(32, "little")
