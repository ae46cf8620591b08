//! Kubernetes quantities as whole base units, as far as limits need them (resource.Quantity of apimachinery).

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const SUFFIXES: [(&str, f64); 13] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
];

/// The quantity in base units (bytes, cores); `None` when it is not a quantity or negative.
pub(crate) fn units(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.as_str();
    let suffix = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| text.strip_suffix(suffix).map(|number| (number, *factor)));
    let (number, factor) = suffix.unwrap_or((text, 1.0));
    if number.is_empty()
        || !number.starts_with(|first: char| first.is_ascii_digit() || first == '.')
    {
        return None;
    }
    let value: f64 = number.parse().ok()?;
    value.is_finite().then_some(value * factor)
}

/// The quantity in whole bytes, rounded down.
pub(crate) fn bytes(quantity: &Quantity) -> Option<u64> {
    let value = units(quantity)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; above 2^53 bytes precision is of no use"
    )]
    Some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<f64> {
        units(&Quantity(text.to_owned()))
    }

    #[test]
    fn binary_decimal_and_milli_suffixes_are_read() {
        assert_eq!(of("128Mi"), Some(134_217_728.0));
        assert_eq!(of("1G"), Some(1e9));
        assert_eq!(of("250m"), Some(0.25));
        assert_eq!(of("1.5"), Some(1.5));
        assert_eq!(of("1e3"), Some(1000.0));
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "Mi", "-1Gi", "12Zi", "one", "inf", "NaN"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
