//! Business cards: one per missed call, and not more often to a person than the settings say.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::Store;

/// A card and what of it is still to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CardRow {
    /// The message in the account's own box that tells of the missed call.
    pub(crate) message_id: i32,
    pub(crate) person: i64,
    pub(crate) began_s: i64,
    /// Telegram knows the parts by these; none where a part was sent or is not wanted.
    pub(crate) photo: Option<i64>,
    pub(crate) contact: Option<i64>,
    pub(crate) text: Option<i64>,
}

/// A message of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CardPart {
    Photo,
    Contact,
    Text,
}

impl Store {
    /// Writes a card down before it is sent. False if this missed call had one, or the person had one since `since_s`.
    pub(crate) async fn begin_card(&self, row: &CardRow, since_s: i64) -> Result<bool, sqlx::Error> {
        let done = sqlx::query(
            "INSERT INTO cl_card (message_id, person, began_s, photo_random_id, contact_random_id, text_random_id)
             SELECT $1, $2, $3, $4, $5, $6
             WHERE NOT EXISTS (SELECT 1 FROM cl_card WHERE message_id = $1)
               AND NOT EXISTS (SELECT 1 FROM cl_card WHERE person = $2 AND began_s > $7)",
        )
        .bind(row.message_id)
        .bind(row.person)
        .bind(row.began_s)
        .bind(row.photo)
        .bind(row.contact)
        .bind(row.text)
        .bind(since_s)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// A part was sent, or will not be.
    pub(crate) async fn card_part_done(&self, message_id: i32, part: CardPart) -> Result<(), sqlx::Error> {
        let query = match part {
            CardPart::Photo => "UPDATE cl_card SET photo_random_id = NULL WHERE message_id = $1",
            CardPart::Contact => "UPDATE cl_card SET contact_random_id = NULL WHERE message_id = $1",
            CardPart::Text => "UPDATE cl_card SET text_random_id = NULL WHERE message_id = $1",
        };
        sqlx::query(query).bind(message_id).execute(&self.pool).await.map(drop)
    }

    /// Nothing more of the card will be sent.
    pub(crate) async fn card_done(&self, message_id: i32) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE cl_card SET photo_random_id = NULL, contact_random_id = NULL, text_random_id = NULL
             WHERE message_id = $1",
        )
        .bind(message_id)
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Cards of which something is still to be sent.
    pub(crate) async fn open_cards(&self) -> Result<Vec<CardRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM cl_card WHERE photo_random_id IS NOT NULL OR contact_random_id IS NOT NULL
                OR text_random_id IS NOT NULL ORDER BY began_s",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(card).collect()
    }
}

fn card(row: &SqliteRow) -> Result<CardRow, sqlx::Error> {
    Ok(CardRow {
        message_id: row.try_get("message_id")?,
        person: row.try_get("person")?,
        began_s: row.try_get("began_s")?,
        photo: row.try_get("photo_random_id")?,
        contact: row.try_get("contact_random_id")?,
        text: row.try_get("text_random_id")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn a_missed_call_has_one_card_and_a_person_has_none_too_soon() {
        let (store, _database) = Room::new().open().await;
        let (anna, boris) = (5, 6);
        assert!(store.begin_card(&row(1, anna, 1_000), 400).await.unwrap());
        assert!(!store.begin_card(&row(1, anna, 9_000), 8_400).await.unwrap(), "the same missed call");
        assert!(!store.begin_card(&row(2, anna, 1_599), 999).await.unwrap(), "too soon");
        assert!(store.begin_card(&row(3, boris, 1_599), 999).await.unwrap(), "somebody else");
        assert!(store.begin_card(&row(4, anna, 1_600), 1_000).await.unwrap(), "late enough");
    }

    #[tokio::test]
    async fn a_card_is_open_until_each_part_is_done_and_stays_known() {
        let room = Room::new();
        let (store, database) = room.open().await;
        store.begin_card(&row(1, 5, 1_000_000), 0).await.unwrap();
        store.card_part_done(1, CardPart::Photo).await.unwrap();
        drop(store);
        database.close().await;
        let (store, _database) = room.open().await;
        let left = CardRow { photo: None, ..row(1, 5, 1_000_000) };
        assert_eq!(store.open_cards().await.unwrap(), [left]);
        store.card_part_done(1, CardPart::Contact).await.unwrap();
        store.card_part_done(1, CardPart::Text).await.unwrap();
        assert_eq!(store.open_cards().await.unwrap(), []);
        assert!(!store.begin_card(&row(1, 5, 1_000_000), 1_000_000).await.unwrap());
    }

    #[tokio::test]
    async fn a_card_that_is_given_up_is_not_tried_again() {
        let (store, _database) = Room::new().open().await;
        store.begin_card(&row(1, 5, 1_000), 0).await.unwrap();
        store.card_done(1).await.unwrap();
        assert_eq!(store.open_cards().await.unwrap(), []);
    }

    fn row(message_id: i32, person: i64, began_s: i64) -> CardRow {
        CardRow { message_id, person, began_s, photo: Some(1), contact: Some(2), text: Some(3) }
    }
}
