//! What the packet path takes from the heap: nothing, once a call has run for a moment.
//!
//! One test in one process, because the counter counts for the whole of it.

#![allow(clippy::unwrap_used)]

use tgtrunk_media::codec::{EncoderSettings, OPUS, ROWS};

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

#[test]
fn packets_take_nothing_from_the_heap() {
    let _profiler = dhat::Profiler::builder().testing().build();
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) > 0, "the counter counts");
    for codec in ROWS {
        decoded_and_encoded(codec);
    }
}

/// Every codec in both directions, with a loss now and then, as a transcoded call runs it.
fn decoded_and_encoded(codec: &tgtrunk_media::Codec) {
    for row in [codec, &OPUS] {
        let sample_hz = codec.sample_hz;
        let samples = (sample_hz / 1000 * codec.default_ptime_ms) as usize;
        let mut encoder = row.encoder(sample_hz, EncoderSettings::default()).unwrap();
        let mut decoder = row.decoder(sample_hz).unwrap();
        let sound: Vec<i16> = (0..samples).map(|at| (6000.0 * (at as f32 * 0.1).sin()) as i16).collect();
        let (mut payload, mut pcm) = (Vec::new(), Vec::new());
        let mut packet = |at: u32| {
            payload.clear();
            pcm.clear();
            encoder.encode(&sound, &mut payload);
            encoder.set_loss(0.1);
            if at.is_multiple_of(7) {
                decoder.conceal(samples, Some(&payload), &mut pcm);
            }
            decoder.decode(&payload, &mut pcm).unwrap();
            assert_eq!(decoder.samples(&payload), Some(samples));
        };
        (0..20).for_each(&mut packet);
        let taken = allocations(|| (0..500).for_each(&mut packet));
        assert_eq!(taken, 0, "{row:?} beside {codec:?}");
    }
}

fn allocations(work: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_blocks;
    work();
    dhat::HeapStats::get().total_blocks - before
}
