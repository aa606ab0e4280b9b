//! Places: `sendLocation` and `sendVenue`.

use grammers_tl_types as tl;
use serde_json::Value;

use super::params::Params;
use super::reply::ApiError;
use super::sending::{recipient, send};
use crate::world::State;
use crate::world::messages::message::Draft;

/// For how long a place may be told live, in seconds.
const LIVE_S: std::ops::RangeInclusive<i32> = 60..=86_400;

/// `sendLocation`.
pub(crate) fn send_location(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let to = recipient(params, "chat_id")?;
    let geo = place(params)?;
    let number = |name: &str| params.number(name).and_then(|number| i32::try_from(number).ok());
    let media = match number("live_period").filter(|period| *period != 0) {
        None => tl::types::MessageMediaGeo { geo }.into(),
        Some(period) if LIVE_S.contains(&period) || period == i32::MAX => tl::types::MessageMediaGeoLive {
            geo,
            heading: number("heading"),
            period,
            proximity_notification_radius: number("proximity_alert_radius"),
        }
        .into(),
        Some(_) => return Err(ApiError::bad("wrong live location period specified")),
    };
    send(state, bot, to, params, Draft { media: Some(media), ..Draft::default() })
}

/// `sendVenue`.
pub(crate) fn send_venue(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let to = recipient(params, "chat_id")?;
    let geo = place(params)?;
    let text = |name: &str| params.text(name).unwrap_or_default();
    let (provider, id, kind) = if params.word("google_place_id").is_some() {
        ("gplaces", "google_place_id", "google_place_type")
    } else {
        ("foursquare", "foursquare_id", "foursquare_type")
    };
    let provider = if params.word(id).is_some() { provider } else { "" };
    let media = tl::types::MessageMediaVenue {
        geo,
        title: text("title"),
        address: text("address"),
        provider: provider.to_owned(),
        venue_id: text(id),
        venue_type: text(kind),
    };
    if media.title.is_empty() || media.address.is_empty() {
        return Err(ApiError::bad("wrong venue specified"));
    }
    send(state, bot, to, params, Draft { media: Some(media.into()), ..Draft::default() })
}

fn place(params: &Params) -> Result<tl::enums::GeoPoint, ApiError> {
    let degrees = |name: &str, max: f64| {
        let said = params.word(name).ok_or_else(|| ApiError::bad(format!("{name} is empty")))?;
        let degrees = said.trim().parse::<f64>().ok().filter(|degrees| degrees.abs() <= max);
        degrees.ok_or_else(|| ApiError::bad("wrong location specified"))
    };
    let (lat, long) = (degrees("latitude", 90.0)?, degrees("longitude", 180.0)?);
    let accuracy = params.word("horizontal_accuracy").and_then(|metres| metres.parse::<f64>().ok());
    #[allow(clippy::cast_possible_truncation, reason = "it is at most 1500 m")]
    let accuracy_radius = accuracy.map(|metres| metres.clamp(0.0, 1500.0).ceil() as i32);
    Ok(tl::types::GeoPoint { long, lat, access_hash: 0, accuracy_radius }.into())
}
