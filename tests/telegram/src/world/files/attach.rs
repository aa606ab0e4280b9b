//! What hangs on a message for what a client asks to send.

use grammers_tl_types as tl;

use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::prime::random;
use crate::world::users::digits;

/// Longest title and address of a venue, in characters.
const VENUE_MAX: usize = 255;

/// What a message shows for what a client asks to send.
pub(crate) fn media(
    ctx: &mut Ctx<'_>,
    input: tl::enums::InputMedia,
) -> Result<tl::enums::MessageMedia, RpcError> {
    let (user, files) = (ctx.user, &mut ctx.state.files);
    let dc = ctx.state.users.user(user).map_or(ctx.caller.dc, |user| user.dc);
    match input {
        tl::enums::InputMedia::Contact(card) => {
            let owner = digits(&card.phone_number).and_then(|phone| ctx.state.users.by_phone(&phone));
            Ok(tl::types::MessageMediaContact {
                user_id: owner.map_or(0, |owner| owner.id),
                phone_number: card.phone_number,
                first_name: card.first_name,
                last_name: card.last_name,
                vcard: card.vcard,
            }
            .into())
        }
        tl::enums::InputMedia::UploadedPhoto(photo) => {
            let bytes = files.join(user, &photo.file)?;
            files.add_photo(dc, bytes)
        }
        tl::enums::InputMedia::UploadedDocument(document) => {
            let bytes = files.join(user, &document.file)?;
            if document.mime_type.is_empty() {
                return Err(RpcError::bad_request("MEDIA_INVALID"));
            }
            files.add_document(dc, bytes, document.mime_type, document.attributes)
        }
        tl::enums::InputMedia::Photo(photo) => match photo.id {
            tl::enums::InputPhoto::Photo(photo) => {
                files.check(photo.id, photo.access_hash, &photo.file_reference, "MEDIA_INVALID")?;
                files.media(photo.id)
            }
            tl::enums::InputPhoto::Empty => Err(RpcError::bad_request("MEDIA_EMPTY")),
        },
        tl::enums::InputMedia::Document(document) => match document.id {
            tl::enums::InputDocument::Document(document) => {
                files.check(document.id, document.access_hash, &document.file_reference, "MEDIA_INVALID")?;
                files.media(document.id)
            }
            tl::enums::InputDocument::Empty => Err(RpcError::bad_request("MEDIA_EMPTY")),
        },
        tl::enums::InputMedia::GeoPoint(place) => {
            Ok(tl::types::MessageMediaGeo { geo: point(&place.geo_point)? }.into())
        }
        tl::enums::InputMedia::GeoLive(place) => Ok(tl::types::MessageMediaGeoLive {
            geo: point(&place.geo_point)?,
            heading: place.heading,
            period: place.period.unwrap_or(0),
            proximity_notification_radius: place.proximity_notification_radius,
        }
        .into()),
        tl::enums::InputMedia::Venue(venue) => {
            let cut = |text: String| text.chars().take(VENUE_MAX).collect::<String>();
            Ok(tl::types::MessageMediaVenue {
                geo: point(&venue.geo_point)?,
                title: cut(venue.title),
                address: cut(venue.address),
                provider: venue.provider,
                venue_id: venue.venue_id,
                venue_type: venue.venue_type,
            }
            .into())
        }
        tl::enums::InputMedia::Poll(poll) => ctx.state.polls.add(user, *poll),
        tl::enums::InputMedia::Dice(dice) => {
            let [thrown] = random::<1>();
            let value = i32::from(thrown % 6) + 1;
            Ok(tl::types::MessageMediaDice { value, emoticon: dice.emoticon, game_outcome: None }.into())
        }
        // Telegram fetches these itself; here there is no web.
        tl::enums::InputMedia::PhotoExternal(_) | tl::enums::InputMedia::DocumentExternal(_) => {
            Err(RpcError::bad_request("WEBPAGE_CURL_FAILED"))
        }
        tl::enums::InputMedia::Empty => Err(RpcError::bad_request("MEDIA_EMPTY")),
        _ => Err(RpcError::bad_request("MEDIA_INVALID")),
    }
}

fn point(input: &tl::enums::InputGeoPoint) -> Result<tl::enums::GeoPoint, RpcError> {
    match input {
        tl::enums::InputGeoPoint::Point(point) => {
            geo(point.lat, point.long).ok_or_else(|| RpcError::bad_request("GEO_POINT_INVALID"))
        }
        tl::enums::InputGeoPoint::Empty => Err(RpcError::bad_request("GEO_POINT_INVALID")),
    }
}

/// A place by degrees north and east, if it is on this planet.
pub(crate) fn geo(lat: f64, long: f64) -> Option<tl::enums::GeoPoint> {
    let fine = lat.abs() <= 90.0 && long.abs() <= 180.0;
    fine.then(|| tl::types::GeoPoint { long, lat, access_hash: 0, accuracy_radius: None }.into())
}

/// `messages.uploadMedia`: made, not sent.
pub(crate) fn upload_media(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::UploadMedia,
) -> Result<tl::enums::MessageMedia, RpcError> {
    ctx.state.input_peer(ctx.user, &request.peer)?;
    media(ctx, request.media)
}
