//! The four emoji both people of a call can read to each other: the same on both sides unless
//! somebody sits between them.

use sha2::{Digest, Sha256};

use crate::key::SharedKey;

/// The four emoji of a call, from the key and the caller's public value `g_a`, byte for byte as
/// the caller sent it: some clients leave out its leading zeros, and show the emoji of that.
#[must_use]
pub fn emoji(key: &SharedKey, g_a: &[u8]) -> [&'static str; 4] {
    let digest = Sha256::new().chain_update(key.bytes()).chain_update(g_a).finalize();
    std::array::from_fn(|index| {
        let mut word = [0; 8];
        word.copy_from_slice(&digest[8 * index..][..8]);
        let number = u64::from_be_bytes(word) & (u64::MAX >> 1);
        TABLE[(number % TABLE.len() as u64) as usize]
    })
}

/// The 333 emoji, in the order every client shares; no variation selectors.
#[rustfmt::skip]
const TABLE: [&str; 333] = [
    "😉", "😍", "😛", "😭", "😱", "😡", "😎", "😴", "😵", "😈",
    "😬", "😇", "😏", "👮", "👷", "💂", "👶", "👨", "👩", "👴",
    "👵", "😻", "😽", "🙀", "👺", "🙈", "🙉", "🙊", "💀", "👽",
    "💩", "🔥", "💥", "💤", "👂", "👀", "👃", "👅", "👄", "👍",
    "👎", "👌", "👊", "✌", "✋", "👐", "👆", "👇", "👉", "👈",
    "🙏", "👏", "💪", "🚶", "🏃", "💃", "👫", "👪", "👬", "👭",
    "💅", "🎩", "👑", "👒", "👟", "👞", "👠", "👕", "👗", "👖",
    "👙", "👜", "👓", "🎀", "💄", "💛", "💙", "💜", "💚", "💍",
    "💎", "🐶", "🐺", "🐱", "🐭", "🐹", "🐰", "🐸", "🐯", "🐨",
    "🐻", "🐷", "🐮", "🐗", "🐴", "🐑", "🐘", "🐼", "🐧", "🐥",
    "🐔", "🐍", "🐢", "🐛", "🐝", "🐜", "🐞", "🐌", "🐙", "🐚",
    "🐟", "🐬", "🐋", "🐐", "🐊", "🐫", "🍀", "🌹", "🌻", "🍁",
    "🌾", "🍄", "🌵", "🌴", "🌳", "🌞", "🌚", "🌙", "🌎", "🌋",
    "⚡", "☔", "❄", "⛄", "🌀", "🌈", "🌊", "🎓", "🎆", "🎃",
    "👻", "🎅", "🎄", "🎁", "🎈", "🔮", "🎥", "📷", "💿", "💻",
    "☎", "📡", "📺", "📻", "🔉", "🔔", "⏳", "⏰", "⌚", "🔒",
    "🔑", "🔎", "💡", "🔦", "🔌", "🔋", "🚿", "🚽", "🔧", "🔨",
    "🚪", "🚬", "💣", "🔫", "🔪", "💊", "💉", "💰", "💵", "💳",
    "✉", "📫", "📦", "📅", "📁", "✂", "📌", "📎", "✒", "✏",
    "📐", "📚", "🔬", "🔭", "🎨", "🎬", "🎤", "🎧", "🎵", "🎹",
    "🎻", "🎺", "🎸", "👾", "🎮", "🃏", "🎲", "🎯", "🏈", "🏀",
    "⚽", "⚾", "🎾", "🎱", "🏉", "🎳", "🏁", "🏇", "🏆", "🏊",
    "🏄", "☕", "🍼", "🍺", "🍷", "🍴", "🍕", "🍔", "🍟", "🍗",
    "🍱", "🍚", "🍜", "🍡", "🍳", "🍞", "🍩", "🍦", "🎂", "🍰",
    "🍪", "🍫", "🍭", "🍯", "🍎", "🍏", "🍊", "🍋", "🍒", "🍇",
    "🍉", "🍓", "🍑", "🍌", "🍐", "🍍", "🍆", "🍅", "🌽", "🏡",
    "🏥", "🏦", "⛪", "🏰", "⛺", "🏭", "🗻", "🗽", "🎠", "🎡",
    "⛲", "🎢", "🚢", "🚤", "⚓", "🚀", "✈", "🚁", "🚂", "🚋",
    "🚎", "🚌", "🚙", "🚗", "🚕", "🚛", "🚨", "🚔", "🚒", "🚑",
    "🚲", "🚠", "🚜", "🚦", "⚠", "🚧", "⛽", "🎰", "🗿", "🎪",
    "🎭", "🇯🇵", "🇰🇷", "🇩🇪", "🇨🇳", "🇺🇸", "🇫🇷", "🇪🇸", "🇮🇹", "🇷🇺",
    "🇬🇧", "1⃣", "2⃣", "3⃣", "4⃣", "5⃣", "6⃣", "7⃣", "8⃣", "9⃣",
    "0⃣", "🔟", "❗", "❓", "♥", "♦", "💯", "🔗", "🔱", "🔴",
    "🔵", "🔶", "🔷",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_key_shows_dish_horse_hands_and_dog() {
        let bytes = |text: &str| hex::decode(text.trim()).unwrap();
        let key = bytes(include_str!("../testdata/key/vector-key.hex"));
        let g_a = bytes(include_str!("../testdata/key/vector-g_a.hex"));
        let key = SharedKey::from_bytes(key.try_into().unwrap());
        assert_eq!(emoji(&key, &g_a).concat(), "📡🏇🙏🐶");
    }

    #[test]
    fn a_public_value_sent_without_its_leading_zero_shows_what_ntgcalls_shows_for_it() {
        let bytes = |text: &str| hex::decode(text.trim()).unwrap();
        let key = bytes(include_str!("../testdata/key/short-key.hex"));
        let g_a = bytes(include_str!("../testdata/key/short-g_a.hex"));
        assert_eq!(g_a.len(), 255);
        let key = SharedKey::from_bytes(key.try_into().unwrap());
        assert_eq!(emoji(&key, &g_a).concat(), include_str!("../testdata/key/short-emoji.txt").trim());
    }

    #[test]
    fn the_table_holds_333_different_emoji_at_their_published_places() {
        let mut sorted = TABLE;
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]));
        let places = [
            (0, "😉"),
            (50, "🙏"),
            (81, "🐶"),
            (151, "📡"),
            (217, "🏇"),
            (301, "🇯🇵"),
            (311, "1\u{20e3}"),
            (332, "🔷"),
        ];
        for (index, emoji) in places {
            assert_eq!(TABLE[index], emoji, "index {index}");
        }
        assert!(TABLE.iter().all(|emoji| !emoji.contains('\u{fe0f}')));
    }
}
