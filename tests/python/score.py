"""Scores speech by PESQ (ITU-T P.862 in narrow band, P.862.2 in wide band).

Reads one JSON object a line on standard input: {"original", "heard", "rate"}; both are files of 16-bit samples, one
channel, the low byte first, in that rate: 8000 is narrow band, 16000 wide band. Writes one JSON object a line:
{"score", "delay_ms"}, the delay being how much later than the original the speech begins in what was heard.
"""
import json
import sys

import numpy as np
from pesq import pesq


def read(path):
    return np.fromfile(path, dtype="<i2").astype(np.float64)


def delay(original, heard):
    """Samples by which `heard` lags, from the peak of the cross-correlation."""
    length = 1 << (len(original) + len(heard) - 1).bit_length()
    spectrum = np.fft.rfft(heard, length) * np.conj(np.fft.rfft(original, length))
    correlation = np.fft.irfft(spectrum, length)
    # Filters may turn the sign of the wave.
    peak = int(np.argmax(np.abs(correlation)))
    return peak if peak < length - len(original) else peak - length


for line in sys.stdin:
    wish = json.loads(line)
    original, heard = read(wish["original"]), read(wish["heard"])
    lag = delay(original, heard)
    if lag < 0:
        heard = np.concatenate([np.zeros(-lag), heard])
    else:
        heard = heard[lag:]
    # What is missing at the end is missing to the ear too.
    heard = np.concatenate([heard[: len(original)], np.zeros(max(0, len(original) - len(heard)))])
    band = {8000: "nb", 16000: "wb"}[wish["rate"]]
    score = pesq(wish["rate"], original / 32768, heard / 32768, band)
    print(json.dumps({"score": float(score), "delay_ms": round(lag * 1000 / wish["rate"])}), flush=True)
