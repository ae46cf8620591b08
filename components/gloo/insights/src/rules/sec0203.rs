//! SEC0203: certificate with a weak key or signature.

use gloo_record::{Analyzer, certificates::Certificate};

use crate::{Answer, Code, Evidence, Finding, Group, Rule, Scope, Severity, Target, View};

pub(crate) const RULE: Rule = Rule {
    code: Code::new(Group::Sec, 203),
    severity: Severity::Warning,
    title: "Certificate with a weak key or signature",
    why: "Keys this short and signatures over SHA-1 or MD5 can be made by others with effort that is for sale.",
    evidence: &[Evidence::Record(Analyzer::Certificates)],
    scope: Scope::Cluster,
    steps: "\
1. Make a new one: ECDSA P-256, Ed25519, or RSA of 2048 bits and more; signed with SHA-256 or better.
",
    find,
};

fn find(view: &View<'_>) -> Answer {
    let certificates = view.certificates()?.certificates.iter();
    let finding = |one: &Certificate| {
        let short = match one.key.split(' ').next().unwrap_or_default() {
            "RSA" | "DSA" => one.key_bits < 2048,
            "ECDSA" => one.key_bits < 224,
            _ => false,
        };
        let lower = one.signature.to_lowercase();
        let broken = lower.contains("sha1") || lower.contains("md5");
        let what = match (short, broken) {
            (true, _) => format!("its key is {} of {} bits", one.key, one.key_bits),
            (false, true) => format!("it is signed by {}", one.signature),
            (false, false) => return None,
        };
        let place = one.place.sentence();
        let target = Target::new("Certificate", "", &place);
        let finding = Finding::new(
            target,
            format!("the certificate of {place} is weak: {what}"),
        );
        Some(
            finding
                .because("key", &one.key)
                .because("signature", &one.signature),
        )
    };
    Ok(certificates.filter_map(finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, found};

    #[test]
    fn a_short_key_and_an_old_hash_are_told() {
        let with = |key: &str, bits, signature: &str| {
            Scene::healthy().certificates(|all| {
                let one = &mut all.certificates[0];
                (one.key, one.key_bits, one.signature) =
                    (key.to_owned(), bits, signature.to_owned());
            })
        };
        assert!(
            found(&RULE, &with("RSA", 1024, "sha256WithRSAEncryption"))[0]
                .ends_with("RSA of 1024 bits")
        );
        assert!(
            found(&RULE, &with("RSA", 4096, "sha1WithRSAEncryption"))[0]
                .ends_with("sha1WithRSAEncryption")
        );
        assert!(found(&RULE, &with("RSA", 2048, "sha256WithRSAEncryption")).is_empty());
    }
}
