//! Hashes that are the same in every process, release and machine. They keep
//! no secret: who may choose what is hashed may choose the hash.

/// FNV-1a of the text, mixed.
pub(crate) fn text(text: &str) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// Two hashes as one.
pub(crate) fn pair(a: u64, b: u64) -> u64 {
    mix(a.wrapping_add(mix(b)))
}

/// As a number above 0 and below 1.
pub(crate) fn unit(hash: u64) -> f64 {
    ((hash >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

/// The end of SplitMix64 (G. Steele, D. Lea and C. Flood, "Fast Splittable
/// Pseudorandom Number Generators", 2014): every bit depends on every bit.
fn mix(hash: u64) -> u64 {
    let hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_in_every_release() {
        // Else all sticky clients change servers with an update, and balancers of two releases disagree.
        assert_eq!([text(""), text("s1")], [0xc381_7c01_6ba4_ff30, 0x4d89_9639_8452_2403]);
        assert_eq!(pair(1, 2), 0xe06d_d043_328b_d285);
    }

    #[test]
    fn units_are_above_0_and_below_1() {
        assert!(unit(0) > 0.0);
        assert!(unit(u64::MAX) < 1.0);
    }
}
