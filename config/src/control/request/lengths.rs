//! How long texts and tones of requests may be. What is wrong names the request, the key, the value and what is allowed.

use std::ops::RangeInclusive;

use serde_json::Value;

/// How long a key may sound, and be followed by silence, in milliseconds; the settings' own bounds.
const LENGTH_MS: RangeInclusive<u32> = 40..=1_000;

/// Whether a text has as many characters as it may.
pub(super) fn check_length(
    word: &str,
    key: &str,
    value: &str,
    chars: &RangeInclusive<usize>,
) -> Result<(), String> {
    if chars.contains(&value.chars().count()) {
        return Ok(());
    }
    let shown: String = value.chars().take(40).collect();
    let (least, most) = (chars.start(), chars.end());
    Err(format!("{word}: {key} = {shown:?}: want {least} to {most} characters"))
}

/// How long a key sounds, or is followed by silence.
pub(super) fn read_length(word: &str, key: &str, value: Option<Value>) -> Result<Option<u32>, String> {
    let Some(value) = value else { return Ok(None) };
    let length_ms = value.as_u64().and_then(|length_ms| u32::try_from(length_ms).ok());
    length_ms.filter(|length_ms| LENGTH_MS.contains(length_ms)).map(Some).ok_or_else(|| {
        let shown: String = value.to_string().chars().take(40).collect();
        let (least, most) = (LENGTH_MS.start(), LENGTH_MS.end());
        format!("{word}: {key} = {shown}: want a whole number from {least} to {most} (milliseconds)")
    })
}
