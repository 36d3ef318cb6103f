//! Both sides of the file.

use std::fs;

use super::super::{Counts, StatsFile};
use super::*;

crate::counts! {
    /// Counts of a test.
    pub struct Fruit { apples, pears }
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats");
    (folder, path)
}

#[test]
fn a_reader_sees_what_was_published_and_nothing_of_the_engines_code() {
    let (_folder, path) = file();
    let mut stats = StatsFile::create(&path, 77).unwrap();
    let mut first = stats.counters::<Fruit>("feed", "arbiter").unwrap();
    let mut second = stats.counters::<Fruit>("matcher-0", "shard").unwrap();
    first.publish(&Fruit { apples: 1, pears: 2 });
    let reader = StatsReader::open(&path).unwrap();
    second.publish(&Fruit { apples: 3, pears: u64::MAX });
    let read = reader.snapshot().unwrap().counters;
    let expected = |agent: &str, block: &str, values: [u64; 2]| Counters {
        agent: agent.into(),
        block: block.into(),
        values: Fruit::NAMES.iter().map(|name| name.to_string()).zip(values).collect(),
    };
    assert_eq!(read, [expected("feed", "arbiter", [1, 2]), expected("matcher-0", "shard", [3, u64::MAX])]);
    assert_eq!((reader.pid(), reader.ts_start(), reader.is_alive()), (std::process::id().into(), 77, true));
    drop((stats, first, second));
    assert!(!reader.is_alive());
    assert_eq!(StatsReader::open(&path).unwrap().snapshot().unwrap().counters, read);
}

#[test]
fn percentiles_are_those_of_the_values_and_at_most_a_64th_too_high() {
    let mut stats = StatsFile::anonymous().unwrap();
    let mut block = stats.histogram("gateway", "tick to log").unwrap();
    let reader = stats.reader();
    let empty = &reader.snapshot().unwrap().histograms[0];
    assert_eq!((empty.min, empty.max, empty.histogram.len(), empty.percentile(50.0)), (0, 0, 0, 0));
    // Squares: dense at the bottom and wide at the top.
    let values: Vec<u64> = (1..=10_000u64).map(|n| n * n * 37).collect();
    values.iter().for_each(|value| block.record(*value));
    let read = reader.snapshot().unwrap().histograms.remove(0);
    assert_eq!((read.min, read.max, read.sum), (37, 3_700_000_000, values.iter().sum()));
    assert_eq!((read.agent.as_str(), read.block.as_str(), read.histogram.len()), ("gateway", "tick to log", 10_000));
    for (percentile, rank) in [(50.0, 5_000), (99.0, 9_900), (99.9, 9_990), (100.0, 10_000)] {
        let (exact, shown) = (values[rank - 1], read.percentile(percentile));
        assert!(shown >= exact && (shown - exact) * 50 <= exact, "p{percentile}: {exact}, shown {shown}");
    }
}

#[test]
fn values_beyond_the_buckets_are_counted_and_keep_their_maximum() {
    let mut stats = StatsFile::anonymous().unwrap();
    let mut block = stats.histogram("a", "b").unwrap();
    block.record(u64::MAX);
    block.record(0);
    let read = stats.reader().snapshot().unwrap().histograms.remove(0);
    assert_eq!((read.min, read.max, read.histogram.len()), (0, u64::MAX, 2));
}

#[test]
fn a_full_file_refuses_further_blocks_and_keeps_the_others() {
    let mut stats = StatsFile::anonymous().unwrap();
    let mut count = 0;
    while stats.histogram("a", "b").is_ok() {
        count += 1;
    }
    assert!(count > 400, "{count}");
    assert_eq!(stats.reader().snapshot().unwrap().histograms.len(), count);
}

#[test]
fn a_second_engine_is_refused_while_the_first_lives_and_replaces_its_file_later() {
    let (folder, path) = file();
    let first = StatsFile::create(&path, 1).unwrap();
    let error = StatsFile::create(&path, 2).unwrap_err();
    assert!(matches!(error, StatsError::InUse { pid, .. } if pid == u64::from(std::process::id())), "{error}");
    let reader = StatsReader::open(&path).unwrap();
    drop(first);
    let _second = StatsFile::create(&path, 3).unwrap();
    assert_eq!((reader.ts_start(), StatsReader::open(&path).unwrap().ts_start()), (1, 3));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn other_files_newer_formats_and_torn_files_are_told_apart() {
    let (_folder, path) = file();
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        StatsReader::open(&path).and_then(|reader| reader.snapshot()).map(|_| ()).unwrap_err()
    };
    assert!(matches!(open(b""), StatsError::NotStats { .. }));
    assert!(matches!(open(b"[feed]\njoin = 1\n"), StatsError::NotStats { .. }));
    assert!(matches!(open(b"HTSTATS\0"), StatsError::Damaged { .. }));
    let newer = [MAGIC, FORMAT + 1, 0, 0, 0, 0, 0, 0, 0].map(u64::to_le_bytes).concat();
    assert!(matches!(open(&newer), StatsError::Format { format: 2, .. }));
    let header = [MAGIC, FORMAT, 0, 0, 0, 0, 0, 0];
    // Ends too early, unknown kind, no size, values beyond the record, text beyond it, a histogram of one bucket.
    let records: [&[u64]; 6] = [
        &[],
        &[9, 8, 6, 1, 0, 0, 0, 0, 0],
        &[COUNTERS, 0, 0, 0, 0, 0, 0, 0, 0],
        &[COUNTERS, 8, 6, u64::MAX, 3, 0x62_0a61, 0, 0, 0],
        &[COUNTERS, 8, 6, 1, 99, 0x62_0a61, 0, 0, 0],
        &[HISTOGRAM, 8, 6, 1, 3, 0x62_0a61, 0, 0, 0],
    ];
    for record in records {
        let bytes: Vec<u8> = header.iter().chain(record).flat_map(|word| word.to_le_bytes()).collect();
        assert!(matches!(open(&bytes), StatsError::Damaged { word: 8, .. }), "{record:?}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(StatsReader::open(&path), Err(StatsError::File { .. })));
}
