//! What one input may cost of a processor and of the memory: for the fuzz targets, which run one input at a time.

use std::time::Duration;

use cpu_time::ProcessTime;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Longest time on a processor, in a program that is slowed down by the fuzzer's counters.
const LONGEST: Duration = Duration::from_millis(50);
/// Most memory beside what was held before: 16 MB, which is what grammers takes for a text that says it is as long as any can
/// be, and what there is beside it.
const MOST_BYTES: usize = (16 << 20) + (256 << 10);
/// What is begun once takes its time once, and a busy machine is slow now and then.
const TRIES: usize = 4;

/// Does with the bytes what the target does, which may not cost too much.
pub fn within(take: fn(&[u8]), bytes: &[u8]) {
    let mut least = Duration::MAX;
    for _ in 0..TRIES {
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let begun = ProcessTime::now();
        take(bytes);
        least = least.min(begun.elapsed());
        let more = HEAP.peak_usage().saturating_sub(before);
        assert!(more <= MOST_BYTES, "{more} bytes of memory for {} bytes of input", bytes.len());
        if least <= LONGEST {
            return;
        }
    }
    panic!("{least:?} of a processor for {} bytes of input", bytes.len());
}
