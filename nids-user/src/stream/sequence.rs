//! Comparison of TCP sequence numbers (RFC 9293, 3.4): modulo 2^32, so that the order is that of the
//! shorter way round. Not an `Ord`: the order is not transitive.

/// Whether `a` lies before `b`.
pub(super) fn lt(a: u32, b: u32) -> bool {
    distance(b, a) < 0
}

/// Whether `a` lies before `b` or is the same.
pub(super) fn le(a: u32, b: u32) -> bool {
    distance(b, a) <= 0
}

/// Whether `a` lies behind `b`.
pub(super) fn gt(a: u32, b: u32) -> bool {
    distance(b, a) > 0
}

/// Whether `a` lies behind `b` or is the same.
pub(super) fn ge(a: u32, b: u32) -> bool {
    distance(b, a) >= 0
}

/// Steps from `from` to `to`, negative where `to` lies before.
pub(super) fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_goes_over_the_wrap() {
        assert!(lt(u32::MAX, 0) && gt(0, u32::MAX));
        assert!(le(7, 7) && ge(7, 7) && !lt(7, 7));
        assert_eq!(distance(u32::MAX - 1, 3), 5);
        assert_eq!(distance(3, u32::MAX - 1), -5);
    }
}
