//! Arithmetic on closed ranges of unsigned integers: union and difference, in time linear in the sorted
//! input. Addresses and ports are both made of these.

/// An unsigned integer that ranges are made of.
pub(super) trait Bound: Ord + Copy {
    /// The lowest value.
    const LOWEST: Self;
    /// The highest value.
    const HIGHEST: Self;
    /// The value above, where there is one.
    fn above(self) -> Option<Self>;
    /// The value below, where there is one.
    fn below(self) -> Option<Self>;
}

macro_rules! bound {
    ($($kind:ty),*) => {$(
        impl Bound for $kind {
            const LOWEST: Self = <$kind>::MIN;
            const HIGHEST: Self = <$kind>::MAX;
            fn above(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn below(self) -> Option<Self> {
                self.checked_sub(1)
            }
        }
    )*};
}
bound!(u16, u32, u128);

/// Closed ranges, `first <= last` in each.
pub(super) type Ranges<T> = Vec<(T, T)>;

/// Sorts, and joins ranges that overlap or touch.
pub(super) fn normalize<T: Bound>(ranges: &mut Ranges<T>) {
    if is_normal(ranges) {
        return;
    }
    ranges.sort_unstable();
    let mut kept: Ranges<T> = Vec::with_capacity(ranges.len());
    for &(first, last) in ranges.iter() {
        match kept.last_mut() {
            Some(top) if top.1.above().is_none_or(|above| first <= above) => {
                top.1 = top.1.max(last);
            }
            _ => kept.push((first, last)),
        }
    }
    *ranges = kept;
}

fn is_normal<T: Bound>(ranges: &[(T, T)]) -> bool {
    ranges.is_sorted_by(|a, b| a.1.above().is_some_and(|above| above < b.0))
}

/// What is in `from` and not in `less`; both normal, and so is the result.
pub(super) fn subtract<T: Bound>(from: &[(T, T)], less: &[(T, T)]) -> Ranges<T> {
    let mut out = Vec::with_capacity(from.len());
    let mut less = less.iter().peekable();
    for &(first, last) in from {
        let mut first = Some(first);
        while less.next_if(|cut| first.is_some_and(|first| cut.1 < first)).is_some() {}
        while let (Some(start), Some(&&(cut_first, cut_last))) = (first, less.peek()) {
            if cut_first > last {
                break;
            }
            if let Some(end) = cut_first.below().filter(|end| *end >= start) {
                out.push((start, end));
            }
            first = cut_last.above().filter(|above| *above <= last);
            if first.is_some() {
                less.next();
            }
        }
        if let Some(start) = first {
            out.push((start, last));
        }
    }
    out
}

/// Adds one range to normal ranges, which stay normal. Moves what lies behind it, but sorts nothing.
pub(super) fn insert<T: Bound>(ranges: &mut Ranges<T>, first: T, last: T) {
    if first > last {
        return;
    }
    let from = ranges.partition_point(|r| r.1.above().is_some_and(|above| above < first));
    let to = ranges.partition_point(|r| last.above().is_none_or(|above| r.0 <= above));
    let joined = match (ranges.get(from), to.checked_sub(1).and_then(|at| ranges.get(at))) {
        (Some(low), Some(high)) if from < to => (first.min(low.0), last.max(high.1)),
        _ => (first, last),
    };
    ranges.splice(from..to.max(from), [joined]);
}

/// Whether `value` is in normal ranges. Binary search.
pub(super) fn contains<T: Bound>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|range| range.0 <= value);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|range| value <= range.1)
}

/// Every value.
pub(super) fn everything<T: Bound>() -> Ranges<T> {
    vec![(T::LOWEST, T::HIGHEST)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Bound for u8 {
        const LOWEST: Self = 0;
        const HIGHEST: Self = 255;
        fn above(self) -> Option<Self> {
            self.checked_add(1)
        }
        fn below(self) -> Option<Self> {
            self.checked_sub(1)
        }
    }

    fn ranges() -> impl Strategy<Value = Ranges<u8>> {
        let range = (any::<u8>(), any::<u8>()).prop_map(|(a, b)| (a.min(b), a.max(b)));
        let narrow = (any::<u8>(), 0u8..4).prop_map(|(a, n)| (a, a.saturating_add(n)));
        prop::collection::vec(prop_oneof![range, narrow], 0..12)
    }

    fn model(ranges: &[(u8, u8)]) -> Vec<bool> {
        (0..=255).map(|v| ranges.iter().any(|r| (r.0..=r.1).contains(&v))).collect()
    }

    proptest! {
        #[test]
        fn normalize_keeps_the_members(mut a in ranges()) {
            let before = model(&a);
            normalize(&mut a);
            prop_assert_eq!(&model(&a), &before);
            prop_assert!(is_normal(&a));
            for v in 0..=255 {
                prop_assert_eq!(contains(&a, v), before[usize::from(v)]);
            }
        }

        #[test]
        fn subtract_is_difference(mut a in ranges(), mut b in ranges()) {
            normalize(&mut a);
            normalize(&mut b);
            let out = subtract(&a, &b);
            let expected: Vec<bool> =
                model(&a).iter().zip(model(&b)).map(|(a, b)| *a && !b).collect();
            prop_assert_eq!(model(&out), expected);
            prop_assert!(is_normal(&out));
        }

        #[test]
        fn insert_is_union(a in ranges()) {
            let mut out = Vec::new();
            for (n, &(first, last)) in a.iter().enumerate() {
                insert(&mut out, first, last);
                prop_assert_eq!(model(&out), model(&a[..=n]));
                prop_assert!(is_normal(&out));
            }
        }
    }
}
