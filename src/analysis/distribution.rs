//! A distribution by the figures that do not hide its tail.

use serde::Serialize;

/// How many there were, their mean, and percentiles by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Distribution {
    /// How many values there were; at least one.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Half of them are no greater.
    pub p50: f64,
    /// 90 % of them are no greater.
    pub p90: f64,
    /// 99 % of them are no greater.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

impl Distribution {
    /// The distribution of these values; absent where there is none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let max = *values.last()?;
        let count = values.len();
        let rank = |share: f64| values[((share * count as f64).ceil() as usize).clamp(1, count) - 1];
        let mean = values.iter().sum::<f64>() / count as f64;
        Some(Self { count, mean, p50: rank(0.5), p90: rank(0.9), p99: rank(0.99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of one to a hundred, and of nothing.
    #[test]
    fn nearest_rank() {
        let of = Distribution::of((1..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!((of.count, of.mean, of.p50, of.p90, of.p99, of.max), (100, 50.5, 50.0, 90.0, 99.0, 100.0));
        assert_eq!(Distribution::of(vec![3.0]).unwrap().p99, 3.0);
        assert_eq!(Distribution::of(Vec::new()), None);
    }

    /// Exact for any number of values, those above a million too.
    #[test]
    fn exact_above_a_million() {
        let mut values: Vec<f64> = (1..=1_300_000).map(f64::from).collect();
        fastrand::Rng::with_seed(1).shuffle(&mut values);
        let of = Distribution::of(values).unwrap();
        assert_eq!((of.p50, of.p90, of.p99, of.max), (650_000.0, 1_170_000.0, 1_287_000.0, 1_300_000.0));
    }
}
