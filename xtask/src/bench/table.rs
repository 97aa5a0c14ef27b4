//! Medians, and tables in Markdown.

/// The middle of the values; of an even number the lower middle, so that it is a value that was measured.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Prints rows with columns of equal width; the first row is the head.
pub fn print(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let cell = |row: &Vec<String>, i: usize| row.get(i).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|i| rows.iter().map(|row| cell(row, i).chars().count()).max().unwrap_or(0))
        .collect();
    println!();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<_> = widths
            .iter()
            .enumerate()
            .map(|(i, w)| format!("{:<w$}", cell(row, i), w = *w))
            .collect();
        println!("| {} |", cells.join(" | "));
        if number == 0 {
            let rule: Vec<_> = widths.iter().map(|w| "-".repeat(*w)).collect();
            println!("| {} |", rule.join(" | "));
        }
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_a_measured_value() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
