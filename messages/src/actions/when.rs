//! Times as programs write them.

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeZone as _};
use serde_json::Value;

/// What a time may be.
pub(super) const WANTED: &str = "must be a time, as \"2026-12-31T10:00:00+03:00\" (without a zone: this machine's) or as seconds or milliseconds since 1970";
/// Numbers from here on count milliseconds: as seconds they would be of the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;
/// The last moment that ISO 8601 writes with four digits of year.
const LAST_MS: i64 = 253_402_300_799_999;
/// The year 2000: a smaller number is rather a day written as 20261231.
const FIRST_MS: i64 = 946_684_800_000;

/// A time as milliseconds since 1970.
pub(super) fn read(value: &Value) -> Option<i64> {
    let ms = match value {
        Value::Number(number) => of_number(number.as_i64().or_else(|| number.as_f64().map(whole))?),
        Value::String(text) => of_text(text.trim())?,
        _ => return None,
    };
    (FIRST_MS..=LAST_MS).contains(&ms).then_some(ms)
}

fn of_number(number: i64) -> i64 {
    if number.unsigned_abs() < MILLISECONDS.unsigned_abs() { number.saturating_mul(1000) } else { number }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from a float keeps to the bounds, and those are refused"
)]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

fn of_text(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(of_number(number));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z"] {
        if let Ok(time) = DateTime::parse_from_str(text, form) {
            return Some(time.timestamp_millis());
        }
    }
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let naive = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let naive = naive.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(Local.from_local_datetime(&naive).earliest()?.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_in_every_form_that_programs_write() {
        let moment = 1_798_700_400_000;
        for value in [
            json!("2026-12-31T10:00:00+03:00"),
            json!("2026-12-31T07:00:00Z"),
            json!("2026-12-31T07:00:00.000Z"),
            json!("2026-12-31 10:00:00+0300"),
            json!(1_798_700_400),
            json!(1_798_700_400_000_i64),
            json!("1798700400"),
            json!("1798700400000"),
            json!(1_798_700_400_000.0),
        ] {
            assert_eq!(read(&value), Some(moment), "{value}");
        }
        let local = Local.with_ymd_and_hms(2026, 12, 31, 10, 0, 0).unwrap().timestamp_millis();
        assert_eq!(read(&json!("2026-12-31T10:00:00")), Some(local));
        for wrong in [
            json!("tomorrow"),
            json!(true),
            json!(-5),
            json!("2026-13-01"),
            json!("20261231"),
            json!(20_261_231),
            json!("99999-01-01T00:00:00Z"),
            json!(i64::MIN),
            json!("-9223372036854775808"),
            json!(-1e300),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
