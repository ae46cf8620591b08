//! Sums over metrics in the Prometheus text format.

use super::Values;

/// For each wanted name the sum over its series; a name without series is left out.
pub(super) fn sums(text: &str, wanted: &[String]) -> Values {
    let mut sums = Values::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = sample(line) else {
            continue;
        };
        if wanted.iter().any(|one| one == name) {
            *sums.entry(name.to_owned()).or_default() += value;
        }
    }
    sums
}

/// `name{labels} value [timestamp]`; label values may hold spaces and braces.
fn sample(line: &str) -> Option<(&str, f64)> {
    let end = line.find(['{', ' '])?;
    let rest = match line.as_bytes()[end] {
        b'{' => &line[line.rfind('}')? + 1..],
        _ => &line[end..],
    };
    Some((&line[..end], rest.split_whitespace().next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_added_and_others_left_out() {
        let text = "# HELP accepted x\n# TYPE accepted counter\naccepted{receiver=\"otlp\",note=\"a } b\"} 3\naccepted{receiver=\"p\"} 4 1700000000000\naccepted_total 9\nsent 1e2\n";
        let found = sums(
            text,
            &[
                "accepted".to_owned(),
                "sent".to_owned(),
                "refused".to_owned(),
            ],
        );
        assert_eq!(
            found,
            [("accepted".to_owned(), 7.0), ("sent".to_owned(), 100.0)].into()
        );
    }
}
