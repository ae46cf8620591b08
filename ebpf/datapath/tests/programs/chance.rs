//! Whether a choice among ten is a fair one: Pearson's chi-square test. The suite of networks asks it, too.

/// Backends to choose from.
pub(crate) const TEN: usize = 10;
/// With nine degrees of freedom a fair choice is further off once in a million runs.
pub(crate) const BOUND: f64 = 44.81;

/// How far off it is that each was met as often as any other.
pub(crate) fn distance(met: &[u32; TEN]) -> f64 {
    let expected = met.iter().copied().map(f64::from).sum::<f64>() / 10.0;
    met.iter()
        .map(|times| (f64::from(*times) - expected).powi(2) / expected)
        .sum()
}
