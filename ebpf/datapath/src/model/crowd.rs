//! Who gives way in a table that everybody shares, before the kernel forgets whatever was used longest ago, whoever's it is.

use std::collections::HashMap;

/// Entries that are forgotten together: one holder's, and of those the ones that were answered or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// Whose they are: an address, network byte order.
    pub(crate) holder: u32,
    /// Nobody loses anything with an entry that was never answered, and anybody can make any number of them.
    pub(crate) answered: bool,
}

/// How soon every entry of a table would end by itself, in milliseconds, by whose it is.
#[derive(Debug, Default)]
pub(crate) struct Census {
    groups: HashMap<Group, Vec<u32>>,
    entries: usize,
}

/// Which entries of a table are to be forgotten.
#[derive(Debug, Default)]
pub(crate) struct GiveWay(HashMap<Group, Cut>);

/// Of a group goes what ends earlier than `before`, and so many of those that end just then.
#[derive(Debug)]
struct Cut {
    before: u32,
    at: usize,
}

impl Census {
    pub(crate) fn count(&mut self, group: Group, ends_in: u32) {
        self.groups.entry(group).or_default().push(ends_in);
        self.entries += 1;
    }

    /// Decides for a table with room for `size` entries. Nobody gives way while half of it is free. Then those who hold most entries
    /// without an answer give way, until they fill half of what is left of the table, or an eighth of it; and those who hold most
    /// answered ones, until these fill three quarters. So an eighth at least is free, and who holds no more than others loses nothing.
    pub(crate) fn give_way(self, size: usize) -> GiveWay {
        if self.entries <= size / 2 {
            return GiveWay::default();
        }
        let answered: usize = self
            .groups
            .iter()
            .filter(|(group, _)| group.answered)
            .map(|(_, entries)| entries.len())
            .sum();
        let unanswered_room = (size / 2).saturating_sub(answered).max(size / 8);
        let caps = [
            (false, self.share(false, unanswered_room)),
            (true, self.share(true, size / 4 * 3)),
        ];
        let mut cuts = HashMap::new();
        for (group, mut entries) in self.groups {
            let cap = caps.iter().find(|(kind, _)| *kind == group.answered);
            if let Some((_, Some(cap))) = cap
                && let Some(cut) = Cut::leaving(*cap, &mut entries)
            {
                cuts.insert(group, cut);
            }
        }
        GiveWay(cuts)
    }

    /// The most that each holder may have of one kind so that all have `room` together; `None`: they have.
    fn share(&self, answered: bool, room: usize) -> Option<usize> {
        let of_kind = self.groups.iter().filter(|(g, _)| g.answered == answered);
        let mut held: Vec<usize> = of_kind.map(|(_, entries)| entries.len()).collect();
        held.sort_unstable();
        let (mut room, mut holders) = (room, held.len());
        for entries in held {
            let share = room / holders;
            if entries > share {
                return Some(share);
            }
            room -= entries;
            holders -= 1;
        }
        None
    }
}

impl Cut {
    /// What is nearest to its end goes.
    fn leaving(cap: usize, entries: &mut [u32]) -> Option<Self> {
        let last = entries.len().checked_sub(cap)?.checked_sub(1)?;
        let (sooner, before, _) = entries.select_nth_unstable(last);
        let sooner = sooner.iter().filter(|end| **end < *before).count();
        Some(Self {
            before: *before,
            at: last + 1 - sooner,
        })
    }
}

impl GiveWay {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this entry goes. It is to be asked once for every entry.
    pub(crate) fn takes(&mut self, group: Group, ends_in: u32) -> bool {
        let Some(cut) = self.0.get_mut(&group) else {
            return false;
        };
        if ends_in == cut.before && cut.at > 0 {
            cut.at -= 1;
            return true;
        }
        ends_in < cut.before
    }
}

#[cfg(test)]
mod tests;
