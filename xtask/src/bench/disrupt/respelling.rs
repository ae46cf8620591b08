//! Other kernel programs that do the same: every instruction that sets a register to a small constant is written in its 32-bit form, which
//! clears the upper half. The kernel knows a program by a digest of its instructions.

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, SectionKind};

/// <https://www.rfc-editor.org/rfc/rfc9669.html>: 8 bytes, the first says what is done, the last four are the constant.
const LENGTH: usize = 8;
const SET_64_BITS: u8 = 0xb7;
const SET_32_BITS: u8 = 0xb4;

/// The object with other instructions in each of its sections of programs, as long as before.
pub(super) fn respell(object: &[u8]) -> Result<Vec<u8>> {
    let parsed = object::File::parse(object).context("parse the kernel programs' object")?;
    let mut other = object.to_vec();
    let mut sections = 0;
    for section in parsed.sections() {
        if section.kind() != SectionKind::Text {
            continue;
        }
        let name = section.name().unwrap_or_default();
        let (from, size) = section.file_range().context("a section without bytes")?;
        let (from, size) = (usize::try_from(from)?, usize::try_from(size)?);
        let instructions = other.get_mut(from..from + size);
        let changed = shorten(instructions.context("a section beyond the object's end")?);
        ensure!(
            changed > 0,
            "nothing in section {name} can be written in another way"
        );
        sections += 1;
    }
    ensure!(sections > 0, "the object has no programs");
    Ok(other)
}

/// How many instructions are others now. The second half of a double instruction begins with 0, so it is taken for none of them.
fn shorten(instructions: &mut [u8]) -> usize {
    let mut changed = 0;
    for instruction in instructions.chunks_exact_mut(LENGTH) {
        // A negative constant would fill the upper half with ones.
        let negative = instruction[LENGTH - 1] & 0x80 != 0;
        if instruction[0] == SET_64_BITS && !negative {
            instruction[0] = SET_32_BITS;
            changed += 1;
        }
    }
    changed
}

/// Puts `new` where a file carries `old`, and says whether it does.
pub(super) fn exchange(file: &mut [u8], old: &[u8], new: &[u8]) -> Result<bool> {
    ensure!(
        old.len() == new.len(),
        "the other object has another length"
    );
    let found = file.windows(old.len()).position(|there| there == old);
    if let Some(at) = found {
        file[at..at + new.len()].copy_from_slice(new);
    }
    Ok(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_constants_are_set_in_the_other_form() {
        let small = [0xb7, 1, 0, 0, 7, 0, 0, 0];
        let negative = [0xb7, 1, 0, 0, 0xff, 0xff, 0xff, 0xff];
        let from_register = [0xbf, 0x21, 0, 0, 0, 0, 0, 0];
        let double = [0x18, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0];
        let mut program = [&small[..], &negative, &from_register, &double].concat();
        assert_eq!(shorten(&mut program), 1);
        let wanted = [0xb4, 1, 0, 0, 7, 0, 0, 0];
        assert_eq!(
            program,
            [&wanted[..], &negative, &from_register, &double].concat()
        );
    }

    #[test]
    fn every_section_of_the_projects_programs_has_other_instructions_and_nothing_else_differs() {
        let root = crate::home::root().unwrap();
        let object = std::fs::read(root.join(crate::ebpf::OBJECT)).unwrap();
        let other = respell(&object).unwrap();
        let (before, after) = [&object, &other].map(|bytes| sections(bytes)).into();
        assert_eq!(before.len(), after.len());
        let mut programs = 0;
        for ((kind, old), (_, new)) in before.iter().zip(&after) {
            let is_program = *kind == SectionKind::Text;
            assert_eq!(old != new, is_program);
            programs += usize::from(is_program);
        }
        assert!(programs > 1);
    }

    fn sections(object: &[u8]) -> Vec<(SectionKind, Vec<u8>)> {
        let parsed = object::File::parse(object).unwrap();
        parsed
            .sections()
            .map(|section| (section.kind(), section.data().unwrap().to_vec()))
            .collect()
    }

    #[test]
    fn the_object_is_exchanged_where_a_file_carries_it() {
        let mut file = b"..old..".to_vec();
        assert!(exchange(&mut file, b"old", b"new").unwrap());
        assert_eq!(file, b"..new..");
        assert!(!exchange(&mut file, b"old", b"new").unwrap());
        let error = exchange(&mut file, b"old", b"newer").unwrap_err();
        assert_eq!(error.to_string(), "the other object has another length");
    }
}
