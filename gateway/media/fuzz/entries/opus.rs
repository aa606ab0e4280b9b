//! Opus packets taken apart and put together, and the text that describes them.

use std::time::Duration;

use tgtrunk_media::codec::OPUS;
use tgtrunk_media::dtmf::info::Form;
use tgtrunk_media::opus::{Frames, Parameters, Shape, join, split};

/// Whatever the framing admits must survive being split and joined, and sound as long as it says.
pub fn take(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Parameters::parse(text);
        let _ = Form::from_content_type(text);
    }
    if let Ok(press) = Form::read(bytes) {
        for form in [Form::Relay, Form::Plain] {
            let again = Form::read(form.write(press).as_bytes()).unwrap();
            assert_eq!(again.digit, press.digit);
        }
    }

    let mut decoder = OPUS.decoder(48_000).unwrap();
    let mut pcm = Vec::new();
    let decoded = decoder.decode(bytes, &mut pcm);
    let Some(frames) = Frames::read(bytes) else {
        assert_eq!((Shape::read(bytes), pcm.len()), (None, 0));
        assert!(decoded.is_err() && split(bytes, Duration::ZERO).is_none());
        return;
    };
    let shape = frames.shape();
    assert!(decoded.is_ok(), "the library refuses {shape:?}");
    assert_eq!(pcm.len(), shape.ticks() as usize);

    let bodies: Vec<&[u8]> = frames.collect();
    assert_eq!(bodies.len(), usize::from(shape.frames));
    for longest_ms in [0, 10, 20, 40, 60, 120] {
        let mut pieces = Vec::new();
        for piece in split(bytes, Duration::from_millis(longest_ms)).unwrap() {
            let mut written = Vec::new();
            piece.write(&mut written);
            assert_eq!(Shape::read(&written), Some(piece.shape()));
            assert!(piece.shape().frames == 1 || piece.shape().duration().as_millis() <= longest_ms.into());
            pieces.push(written);
        }
        let mut joined = Vec::new();
        assert_eq!(join(pieces.iter().map(Vec::as_slice), &mut joined), Some(shape));
        assert_eq!(Frames::read(&joined).unwrap().collect::<Vec<_>>(), bodies);
        assert!(joined.len() <= bytes.len() + 100);
    }
}
