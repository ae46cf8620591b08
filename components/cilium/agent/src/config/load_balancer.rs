//! Keys of load balancing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datapath::Maglev;

use super::{ConfigError, Values, wrong};

const ALGORITHM: &str = "bpf-lb-algorithm";
const SIZE: &str = "bpf-lb-maglev-table-size";
const SEED: &str = "bpf-lb-maglev-hash-seed";
const DEFAULT_SIZE: u32 = 16_381;

/// Upstream's keys. Upstream's seed for those who name none is not offered: everybody knows it.
pub(super) fn read(values: &Values<'_>) -> Result<Option<Maglev>, ConfigError> {
    match values.text(ALGORITHM).unwrap_or("random") {
        "random" => return Ok(None),
        "maglev" => {}
        other => return Err(wrong(ALGORITHM, other, "random or maglev")),
    }
    let wanted = "12 bytes in base64, the same on every node, where bpf-lb-algorithm is maglev";
    let text = values.text(SEED).unwrap_or_default();
    let seed = STANDARD.decode(text).ok();
    let seed = seed
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| wrong(SEED, text, wanted))?;
    let wanted = "251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521 or 131071";
    let size = values.parse(SIZE, DEFAULT_SIZE, wanted)?;
    let maglev = Maglev::new(size, seed);
    maglev
        .map(Some)
        .ok_or_else(|| wrong(SIZE, &size.to_string(), wanted))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Option<Maglev>, String> {
        let values: BTreeMap<String, String> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        read(&Values(&values)).map_err(|error| error.to_string())
    }

    #[test]
    fn who_comes_from_outside_is_balanced_at_random_unless_the_other_way_is_asked_for() {
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&[(ALGORITHM, "random"), (SIZE, "7")]), Ok(None));
        let maglev = [(ALGORITHM, "maglev"), (SEED, "AQIDBAUGBwgJCgsM")];
        let seed = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        assert_eq!(parse(&maglev), Ok(Maglev::new(16_381, seed)));
        let [algorithm, seeded] = maglev;
        let small = [algorithm, seeded, (SIZE, "251")];
        assert_eq!(parse(&small), Ok(Maglev::new(251, seed)));
    }

    #[test]
    fn a_seed_that_is_missing_or_short_and_a_size_that_is_no_prime_of_the_list_are_refused_by_name()
    {
        let on = (ALGORITHM, "maglev");
        let seed = (SEED, "AQIDBAUGBwgJCgsM");
        for (pairs, named) in [
            (vec![on], SEED),
            (vec![on, (SEED, "AQID")], SEED),
            (vec![on, (SEED, "?")], SEED),
            (vec![on, seed, (SIZE, "16384")], SIZE),
            (vec![on, seed, (SIZE, "many")], SIZE),
            (vec![(ALGORITHM, "Maglev")], ALGORITHM),
        ] {
            let error = parse(&pairs).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn what_the_operator_offers_are_the_sizes_a_table_may_have() {
        assert_eq!(cilium_api::names::MAGLEV_TABLE_SIZES, Maglev::SIZES);
    }
}
