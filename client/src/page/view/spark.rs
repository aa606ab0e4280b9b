//! How a call sounded from its beginning to its end, as a small line.

use maud::{Markup, html};
use tgtrunk_config::Language;

use crate::page::view::words::{say, tenths};

const WIDTH: usize = 88;
const HEIGHT: usize = 24;
/// Scores from 1.0 to 4.5 fill the height: nothing on a phone is better.
const LOWEST: u8 = 10;
const HIGHEST: u8 = 45;

/// The line through mean opinion scores in tenths of a point. Nothing where there are none.
pub(crate) fn line(language: Language, mos_tenths: &[u8]) -> Markup {
    let (Some(worst), Some(last)) = (mos_tenths.iter().min(), mos_tenths.last()) else { return html! {} };
    let mean = mos_tenths.iter().map(|score| u64::from(*score)).sum::<u64>() / mos_tenths.len().max(1) as u64;
    let label = format!(
        "{} {}, {} {}",
        say(language, "связь в среднем", "quality on average"),
        tenths(language, mean),
        say(language, "худшая", "at worst"),
        tenths(language, u64::from(*worst)),
    );
    let (end_x, end_y) = (x(mos_tenths.len().max(2) - 1, mos_tenths.len()), y(*last));
    html! {
        span.mos.(grade(mean)) aria-hidden="true" { (tenths(language, mean)) }
        svg.spark.(grade(mean)) role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) {
            title { (label) }
            path d=(path(mos_tenths)) {}
            circle cx=(end_x) cy=(end_y) r="2" {}
        }
    }
}

/// The class of a mean score in tenths: the borders of "good" and "poor" in ITU-T G.107 annex B.
pub(crate) fn grade(tenths: u64) -> &'static str {
    match tenths {
        36.. => "green",
        31..36 => "orange",
        _ => "red",
    }
}

fn path(scores: &[u8]) -> String {
    // One value is a line as long as the picture.
    let points = if scores.len() == 1 { vec![scores[0]; 2] } else { scores.to_vec() };
    let mut path = String::new();
    for (at, score) in points.iter().enumerate() {
        let letter = if at == 0 { 'M' } else { 'L' };
        path.push_str(&format!("{letter}{} {}", x(at, points.len()), y(*score)));
    }
    path
}

fn x(at: usize, of: usize) -> usize {
    2 + at * (WIDTH - 4) / (of.max(2) - 1)
}

fn y(score: u8) -> usize {
    let over = usize::from(score.clamp(LOWEST, HIGHEST) - LOWEST);
    HEIGHT - 2 - over * (HEIGHT - 4) / usize::from(HIGHEST - LOWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_goes_from_left_to_right_and_good_is_up() {
        assert_eq!(path(&[10, 45]), "M2 22L86 2");
        assert_eq!(path(&[45]), "M2 2L86 2");
        assert_eq!(path(&[0, 255, 10]), "M2 22L44 2L86 22");
        let drawn = line(Language::Russian, &[43, 20]).into_string();
        assert!(
            drawn.contains("связь в среднем 3,1, худшая 2,0") && drawn.contains("spark orange"),
            "{drawn}"
        );
        assert_eq!(line(Language::Russian, &[]).into_string(), "");
    }
}
