//! Log-linear buckets: values below 64 have a bucket each; above, every power of two is cut into 64 buckets, so that a
//! bucket's width is at most 1/64 of its values. Values from 2^42 ns (73 minutes) on share the last bucket.

/// Buckets of a power of two.
const STEPS: u64 = 64;
const STEPS_LOG2: u32 = STEPS.trailing_zeros();
/// Values have at most so many bits.
const BITS_MAX: u32 = 42;
/// Greatest value that is told apart from the next.
pub(super) const VALUE_MAX: u64 = (1 << BITS_MAX) - 1;
/// Number of buckets.
pub(super) const BUCKETS: usize = ((BITS_MAX - STEPS_LOG2 + 1) as usize) << STEPS_LOG2;

/// The bucket of a value: below [`BUCKETS`].
#[inline]
pub(super) fn bucket_of(value: u64) -> usize {
    let value = value.min(VALUE_MAX);
    // Below 64 the value itself; from 64 on the top 7 bits (a leading one and the step), behind those of the powers before.
    let shift = (u64::BITS - (value | (STEPS - 1)).leading_zeros()) - STEPS_LOG2;
    if shift == 0 {
        return value as usize;
    }
    let power = shift - 1;
    (u64::from(power) * STEPS + (value >> power)) as usize
}

/// The greatest value of a bucket.
pub(super) fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let power = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_hole_and_are_narrow() {
        let mut first = 0;
        for bucket in 0..BUCKETS {
            let last = last_of(bucket);
            assert_eq!((bucket_of(first), bucket_of(last)), (bucket, bucket));
            assert!((last - first) * STEPS <= last.max(1), "{first} to {last}");
            first = last + 1;
        }
        assert_eq!(first, VALUE_MAX + 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }
}
