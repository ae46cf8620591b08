//! Other kernel programs that do the same: every instruction that sets a register to a small constant is written in its 32-bit form, which
//! clears the upper half. The kernel knows a program by a digest of its instructions.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, SectionKind};

/// <https://www.rfc-editor.org/rfc/rfc9669.html>: 8 bytes, the first says what is done, the last four are the constant.
const LENGTH: usize = 8;
const SET_64_BITS: u8 = 0xb7;
const SET_32_BITS: u8 = 0xb4;

/// How an object of 64 bits begins, lowest byte first; its machine is said in two bytes further on.
const ELF: [u8; 6] = *b"\x7fELF\x02\x01";
const MACHINE: Range<usize> = 18..20;
const BPF: [u8; 2] = 247_u16.to_le_bytes();

/// Writes the programs in other instructions that a file carries, and says whether it carries any.
pub(super) fn respell(file: &mut [u8]) -> Result<bool> {
    let Some(begin) = file.windows(MACHINE.end).position(is_object) else {
        return Ok(false);
    };
    let object = &mut file[begin..];
    let sections = sections(object).context("parse the kernel programs' object")?;
    ensure!(!sections.is_empty(), "the object has no programs");
    for range in sections {
        let instructions = object.get_mut(range);
        let changed = shorten(instructions.context("a section beyond the object's end")?);
        ensure!(changed > 0, "a program can not be written in another way");
    }
    Ok(true)
}

fn is_object(begin: &[u8]) -> bool {
    begin.starts_with(&ELF) && begin[MACHINE] == BPF
}

/// Where the object's instructions are.
fn sections(object: &[u8]) -> Result<Vec<Range<usize>>> {
    let parsed = object::File::parse(object)?;
    let programs = parsed
        .sections()
        .filter(|section| section.kind() == SectionKind::Text);
    let ranges = programs.filter_map(|section| section.file_range());
    ranges
        .map(|(from, size)| Ok(usize::try_from(from)?..usize::try_from(from + size)?))
        .collect()
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
    fn every_program_of_the_project_has_other_instructions_and_nothing_else_of_the_file_differs() {
        let root = crate::home::root().unwrap();
        let path = root.join("ebpf/datapath/object/datapath.bpf.o");
        let object = std::fs::read(path).unwrap();
        let around = b"odd".as_slice();
        let mut file = [around, &object, around].concat();
        assert!(respell(&mut file).unwrap());
        let other = &file[around.len()..][..object.len()];
        assert_eq!([around, other, around].concat(), file);
        let (before, after) = (contents(&object), contents(other));
        let mut programs = 0;
        for ((kind, old), (_, new)) in before.iter().zip(&after) {
            let is_program = *kind == SectionKind::Text;
            assert_eq!(old != new, is_program);
            programs += usize::from(is_program);
        }
        assert!(programs > 1 && before.len() == after.len());
    }

    fn contents(object: &[u8]) -> Vec<(SectionKind, Vec<u8>)> {
        let parsed = object::File::parse(object).unwrap();
        parsed
            .sections()
            .map(|section| (section.kind(), section.data().unwrap().to_vec()))
            .collect()
    }

    #[test]
    fn a_file_without_kernel_programs_stays_as_it_is() {
        let mut of_another_machine = [&ELF[..], &[0; 12], &62_u16.to_le_bytes()].concat();
        let before = of_another_machine.clone();
        assert!(!respell(&mut of_another_machine).unwrap());
        assert_eq!(of_another_machine, before);
        assert!(!respell(&mut []).unwrap());
    }
}
