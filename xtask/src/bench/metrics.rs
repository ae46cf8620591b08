//! Metrics pages of what runs on a node's own network.

use anyhow::Result;

use super::node::shell;
use crate::lab::Lab;

/// The page at this port of the node's loopback.
pub fn page(lab: &Lab, node: &str, port: u16) -> Result<String> {
    let line = format!("busybox wget -q -O - http://127.0.0.1:{port}/metrics");
    shell(lab, node, &line)
}

/// Sum over the series of one name on a metrics page that carry all of the given label texts.
pub fn sum(page: &str, name: &str, with: &[&str]) -> f64 {
    page.lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && with.iter().all(|label| line.contains(label))
        })
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "small whole numbers")]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_added_and_longer_names_are_not() {
        let page = "# HELP a x\na_total{verb=\"get\",code=\"200\"} 3\na_total{verb=\"list\",code=\"200\"} 4\na_total_more 9\nleader 1\n";
        assert_eq!(sum(page, "a_total", &[]), 7.0);
        assert_eq!(sum(page, "a_total", &["verb=\"get\""]), 3.0);
        assert_eq!(sum(page, "leader", &[]), 1.0);
        assert_eq!(sum(page, "absent", &[]), 0.0);
    }
}
