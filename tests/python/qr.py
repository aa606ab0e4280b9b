"""Reads a QR code (ISO/IEC 18004) out of a PNG that nothing has happened to: no camera, no damage, error correction level M."""
import struct
import zlib

# Data codewords of each block, by version, for level M (ISO/IEC 18004 table 9).
BLOCKS = {1: [16], 2: [28], 3: [44], 4: [32, 32], 5: [43, 43], 6: [27] * 4, 7: [31] * 4, 8: [38, 38, 39, 39]}
# Centres of alignment patterns (annex E).
ALIGNED = {1: [], 2: [6, 18], 3: [6, 22], 4: [6, 26], 5: [6, 30], 6: [6, 34], 7: [6, 22, 38], 8: [6, 24, 42]}
MASKS = [
    lambda y, x: (y + x) % 2 == 0, lambda y, x: y % 2 == 0, lambda y, x: x % 3 == 0, lambda y, x: (y + x) % 3 == 0,
    lambda y, x: (y // 2 + x // 3) % 2 == 0, lambda y, x: y * x % 2 + y * x % 3 == 0,
    lambda y, x: (y * x % 2 + y * x % 3) % 2 == 0, lambda y, x: ((y + x) % 2 + y * x % 3) % 2 == 0,
]
ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def pixels(png):
    """Rows of dark and light, of one bit of grey without filters."""
    at, packed = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT":
            packed += body
        at += length + 12
    assert (depth, colour) == (1, 0), "another kind of PNG"
    rows, stride = zlib.decompress(packed), 1 + (width + 7) // 8
    lines = [rows[y * stride + 1:(y + 1) * stride] for y in range(height)]
    return [[not line[x // 8] >> 7 - x % 8 & 1 for x in range(width)] for line in lines]


def modules(rows):
    """The code without its margin, one value a module."""
    top = next(y for y, row in enumerate(rows) if any(row))
    left = rows[top].index(True)
    side = rows[top].index(False, left) - left
    scale, size = side // 7, len(rows) - 2 * top
    return [[rows[top + y][left + x] for x in range(0, size, scale)] for y in range(0, size, scale)]


def is_function(version, y, x):
    """Whether a module belongs to the patterns that every code has."""
    size, centres = 17 + 4 * version, ALIGNED[version]
    if y == 6 or x == 6 or y < 9 and (x < 9 or x >= size - 8) or y >= size - 8 and x < 9:
        return True
    if version >= 7 and (y < 6 and x >= size - 11 or x < 6 and y >= size - 11):
        return True
    corners = {(6, 6), (6, centres[-1]), (centres[-1], 6)} if centres else set()
    return any(
        abs(y - cy) <= 2 and abs(x - cx) <= 2 for cy in centres for cx in centres if (cy, cx) not in corners
    )


def codewords(code):
    size = len(code)
    version = (size - 17) // 4
    said = sum(code[8][x] << 14 - x for x in range(6)) ^ 0x5412
    assert said >> 13 & 3 == 0, "another level of correction"
    mask = MASKS[said >> 10 & 7]
    bits, x, is_up = [], size - 1, True
    while x > 0:
        x -= x == 6
        for y in range(size - 1, -1, -1) if is_up else range(size):
            for column in (x, x - 1):
                if not is_function(version, y, column):
                    bits.append(code[y][column] ^ mask(y, column))
        x, is_up = x - 2, not is_up
    words = [int("".join(str(int(bit)) for bit in bits[at:at + 8]), 2) for at in range(0, len(bits) - 7, 8)]
    blocks = [[] for _ in BLOCKS[version]]
    for n in range(max(BLOCKS[version])):
        for block, length in zip(blocks, BLOCKS[version]):
            if n < length:
                block.append(words.pop(0))
    return b"".join(map(bytes, blocks))


def read(png):
    """The text of a code."""
    data = codewords(modules(pixels(png)))
    bits, text = "".join(f"{word:08b}" for word in data), ""

    def take(count):
        nonlocal bits
        value, bits = int(bits[:count], 2), bits[count:]
        return value

    while len(bits) >= 4 and (mode := take(4)):
        if mode == 4:
            text += bytes(take(8) for _ in range(take(8))).decode()
        elif mode == 2:
            left = take(9)
            while left > 0:
                pair = take(11 if left > 1 else 6)
                text += (ALPHANUMERIC[pair // 45] if left > 1 else "") + ALPHANUMERIC[pair % 45]
                left -= 2
        elif mode == 1:
            left = take(10)
            while left > 0:
                digits = min(left, 3)
                text += str(take([0, 4, 7, 10][digits])).zfill(digits)
                left -= digits
        else:
            raise ValueError(f"a mode that no link has: {mode}")
    return text
