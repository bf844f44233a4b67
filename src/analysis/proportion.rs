//! How far a difference between two shares of requests could be chance, if each
//! request were independent of the others.
//!
//! Newcombe (1998), method 10: the hybrid of two of Wilson's score intervals, which
//! is right for small numbers and for shares of 0 and 1 too.

use statrs::distribution::{ContinuousCDF, Normal};

/// So many of so many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) part: u64,
    pub(super) whole: u64,
}

/// The interval of `candidate - baseline` at this confidence; absent where one of
/// them is of nothing.
pub(super) fn interval(baseline: Share, candidate: Share, confidence: f64) -> Option<(f64, f64)> {
    let z = Normal::standard().inverse_cdf(1.0 - (1.0 - confidence.clamp(0.0, 1.0)) / 2.0);
    let (old, (old_low, old_high)) = (baseline.value()?, baseline.wilson(z)?);
    let (new, (new_low, new_high)) = (candidate.value()?, candidate.wilson(z)?);
    let change = new - old;
    let below = (new - new_low).hypot(old_high - old);
    let above = (new_high - new).hypot(old - old_low);
    Some((change - below, change + above))
}

impl Share {
    fn value(self) -> Option<f64> {
        (self.whole > 0).then(|| self.part as f64 / self.whole as f64)
    }

    fn wilson(self, z: f64) -> Option<(f64, f64)> {
        let (share, of) = (self.value()?, self.whole as f64);
        let square = z * z;
        let middle = share + square / (2.0 * of);
        let half = z * (share * (1.0 - share) / of + square / (4.0 * of * of)).sqrt();
        let scale = 1.0 + square / of;
        Some(((middle - half) / scale, (middle + half) / scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Newcombe's table II, method 10, to its four digits.
    #[test]
    fn as_published() {
        let of = |(part, whole), (other, all)| {
            let interval = interval(Share { part: other, whole: all }, Share { part, whole }, 0.95).unwrap();
            (format!("{:+.4}", interval.0), format!("{:+.4}", interval.1))
        };
        let published = |low: &str, high: &str| (low.to_owned(), high.to_owned());
        assert_eq!(of((56, 70), (48, 80)), published("+0.0524", "+0.3339"));
        assert_eq!(of((9, 10), (3, 10)), published("+0.1705", "+0.8090"));
        assert_eq!(of((5, 56), (0, 29)), published("-0.0381", "+0.1926"));
        assert_eq!(of((10, 10), (0, 10)), published("+0.6075", "+1.0000"));
    }

    /// Of nothing there is no share.
    #[test]
    fn of_nothing() {
        let (none, some) = (Share { part: 0, whole: 0 }, Share { part: 1, whole: 2 });
        assert_eq!((interval(none, some, 0.95), interval(some, none, 0.95)), (None, None));
    }
}
