//! Medians and how sure they are. Knows nothing of networks.

/// A median, and the interval that holds it with 95 % (by bootstrap).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) middle: f64,
    /// The interval's lower end.
    pub(crate) low: f64,
    /// The interval's upper end.
    pub(crate) high: f64,
}

/// How many samples are drawn.
const DRAWS: usize = 2000;

/// The median; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// The median with its interval. The samples are drawn alike each time: one run has one result.
pub(crate) fn spread(values: &[f64]) -> Spread {
    let middle = median(values);
    if values.is_empty() {
        return Spread { middle, low: middle, high: middle };
    }
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values[usize::try_from(state % values.len() as u64).unwrap_or(0)]
    };
    let mut medians: Vec<f64> = (0..DRAWS)
        .map(|_| median(&(0..values.len()).map(|_| draw()).collect::<Vec<_>>()))
        .collect();
    medians.sort_by(f64::total_cmp);
    Spread { middle, low: medians[DRAWS / 40], high: medians[DRAWS - 1 - DRAWS / 40] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_moves_no_median() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[1.0, 2.0, 3.0, 4.0, 1000.0]), 3.0);
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_agreement() {
        let wide = spread(&[0.5, 0.7, 1.0, 1.3, 1.5, 0.6, 1.4]);
        let narrow = spread(&[0.99, 1.0, 1.01, 1.0, 0.99, 1.01, 1.0]);
        assert!(wide.low <= wide.middle && wide.middle <= wide.high);
        assert!(narrow.high - narrow.low < wide.high - wide.low);
        assert_eq!(spread(&[2.0; 5]), Spread { middle: 2.0, low: 2.0, high: 2.0 });
        assert_eq!(wide, spread(&[0.5, 0.7, 1.0, 1.3, 1.5, 0.6, 1.4]));
    }
}
