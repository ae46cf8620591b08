//! Runs of addresses. Never a list of addresses: a pool may be a /8.

use std::{collections::BTreeMap, fmt, net::Ipv4Addr};

use ipnet::Ipv4Net;

/// All addresses from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
}

impl Span {
    fn size(self) -> u64 {
        u64::from(self.last.to_bits()) - u64::from(self.first.to_bits()) + 1
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl From<Ipv4Net> for Span {
    fn from(net: Ipv4Net) -> Self {
        Self {
            first: net.network(),
            last: net.broadcast(),
        }
    }
}

impl From<Ipv4Addr> for Span {
    fn from(address: Ipv4Addr) -> Self {
        Self {
            first: address,
            last: address,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Spans in order, none touching another, so that every address is counted once.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(Vec<Span>);

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut sorted: Vec<Span> = spans.into_iter().collect();
        sorted.sort_unstable();
        let mut whole: Vec<Span> = Vec::new();
        for span in sorted {
            match whole.last_mut() {
                Some(before) if span.first.to_bits() <= before.last.to_bits().saturating_add(1) => {
                    before.last = before.last.max(span.last);
                }
                _ => whole.push(span),
            }
        }
        Self(whole)
    }
}

impl Spans {
    /// Whether the address is in one of them.
    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        let after = self.0.partition_point(|span| span.first <= address);
        self.0[..after]
            .last()
            .is_some_and(|span| address <= span.last)
    }

    /// How many addresses there are.
    pub(super) fn size(&self) -> u64 {
        self.0.iter().map(|span| span.size()).sum()
    }

    /// The spans, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.0.iter().copied()
    }
}

/// The way up through the addresses of a pool. Nothing becomes free while a plan is made, so it never turns back, and a
/// thousand Services cost one walk instead of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    span: usize,
    next: u64,
}

impl Cursor {
    /// The lowest address that is not taken.
    pub(super) fn lowest_free(
        &mut self,
        spans: &Spans,
        taken: impl Fn(Ipv4Addr) -> bool,
    ) -> Option<Ipv4Addr> {
        while let Some(span) = spans.0.get(self.span) {
            self.next = self.next.max(u64::from(span.first.to_bits()));
            while let Some(address) = self.here().filter(|&address| address <= span.last) {
                if !taken(address) {
                    return Some(address);
                }
                self.next += 1;
            }
            self.span += 1;
        }
        None
    }

    fn here(self) -> Option<Ipv4Addr> {
        u32::try_from(self.next).ok().map(Ipv4Addr::from_bits)
    }
}

/// Spans with an owner each; no two of them share an address.
#[derive(Clone, Debug)]
pub struct Owned<T>(BTreeMap<Ipv4Addr, (Ipv4Addr, T)>);

impl<T> Default for Owned<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Owned<T> {
    /// The owner of some address of `span`, and what it owns there.
    pub fn overlapping(&self, span: Span) -> Option<(Span, &T)> {
        let (&first, (last, owner)) = self.0.range(..=span.last).next_back()?;
        let range = Span { first, last: *last };
        range.overlaps(span).then_some((range, owner))
    }

    /// Adds a span, unless some of it is owned already.
    pub fn insert(&mut self, span: Span, owner: T) {
        if self.overlapping(span).is_none() {
            self.0.insert(span.first, (span.last, owner));
        }
    }
}

impl<T> FromIterator<(Span, T)> for Owned<T> {
    /// For spans of which one contains the other or has nothing of it, as networks do: the widest stay.
    fn from_iter<I: IntoIterator<Item = (Span, T)>>(spans: I) -> Self {
        let mut spans: Vec<(Span, T)> = spans.into_iter().collect();
        spans.sort_by_key(|(span, _)| (span.first, std::cmp::Reverse(span.last)));
        let mut owned = Self::default();
        for (span, owner) in spans {
            owned.insert(span, owner);
        }
        owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: &str, last: &str) -> Span {
        Span {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        }
    }

    #[test]
    fn spans_that_touch_or_overlap_become_one_and_each_address_counts_once() {
        let spans: Spans = [
            span("10.0.0.10", "10.0.0.20"),
            span("10.0.0.0", "10.0.0.4"),
            span("10.0.0.5", "10.0.0.5"),
            span("10.0.0.15", "10.0.0.30"),
        ]
        .into_iter()
        .collect();
        let all: Vec<String> = spans.iter().map(|s| s.to_string()).collect();
        assert_eq!(all, ["10.0.0.0-10.0.0.5", "10.0.0.10-10.0.0.30"]);
        assert_eq!(spans.size(), 6 + 21);
        let within = ["10.0.0.5", "10.0.0.6", "10.0.0.30", "10.0.0.31", "9.9.9.9"]
            .map(|a| spans.contains(a.parse().unwrap()));
        assert_eq!(within, [true, false, true, false, false]);
    }

    #[test]
    fn the_last_address_there_is_can_be_given_and_then_there_is_none() {
        let spans: Spans = [span("255.255.255.254", "255.255.255.255")]
            .into_iter()
            .collect();
        let mut cursor = Cursor::default();
        let last: Ipv4Addr = "255.255.255.255".parse().unwrap();
        assert_eq!(cursor.lowest_free(&spans, |a| a != last), Some(last));
        assert_eq!(cursor.lowest_free(&spans, |_| true), None);
        assert_eq!(cursor.lowest_free(&spans, |_| false), None);
    }

    #[test]
    fn a_node_inside_the_range_of_another_does_not_hide_that_range() {
        let owned: Owned<&str> = [
            (span("10.0.0.0", "10.0.0.0"), "router"),
            (span("10.0.0.0", "10.0.0.255"), "pods"),
            (span("10.0.0.7", "10.0.0.7"), "router"),
        ]
        .into_iter()
        .collect();
        let found = |first, last| {
            owned
                .overlapping(span(first, last))
                .map(|(_, &owner)| owner)
        };
        assert_eq!(found("10.0.0.8", "10.0.0.9"), Some("pods"));
        assert_eq!(found("9.0.0.0", "11.0.0.0"), Some("pods"));
        assert_eq!(found("10.0.1.0", "10.0.1.255"), None);
    }
}
