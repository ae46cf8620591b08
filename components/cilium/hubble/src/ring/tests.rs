use proptest::prelude::*;

use super::*;

fn small(capacity: usize) -> (Arc<Ring<u64>>, RingWriter<u64>) {
    new(Capacity::at_least(capacity).unwrap())
}

#[test]
fn a_capacity_is_rounded_up_to_one_less_than_a_power_of_two() {
    let rounded = |asked| Capacity::at_least(asked).map(Capacity::events);
    assert_eq!(rounded(1), Ok(1));
    assert_eq!(rounded(4), Ok(7));
    assert_eq!(rounded(4095), Ok(4095));
    assert_eq!(rounded(4096), Ok(8191));
    assert_eq!(rounded(65535), Ok(65535));
    assert_eq!(rounded(0), Err(CapacityError { asked: 0 }));
    assert_eq!(
        rounded(65536).unwrap_err().to_string(),
        "the flow buffer cannot hold 65536 events: choose 1 to 65535"
    );
}

#[test]
fn the_newest_event_can_be_read_and_the_next_one_not_yet() {
    let (ring, mut writer) = small(3);
    assert_eq!(ring.read(0), Read::NotYet);
    writer.write(|number| number * 10);
    writer.write(|number| number * 10);
    assert_eq!(ring.read(1), Read::Event(Arc::new(10)));
    assert_eq!(ring.read(2), Read::NotYet);
}

#[test]
fn an_overwritten_event_names_the_oldest_one_left() {
    let (ring, mut writer) = small(3);
    for _ in 0..10 {
        writer.write(|number| number);
    }
    assert_eq!(ring.read(2), Read::Lost { oldest: 7 });
    assert_eq!(ring.read(7), Read::Event(Arc::new(7)));
    assert_eq!((ring.len(), ring.oldest(), ring.next()), (3, 7, 10));
}

proptest! {
    #[test]
    fn what_a_reader_saw_and_what_it_was_told_it_lost_is_all_that_was_written(
        capacity in 1usize..40, steps in proptest::collection::vec((0u64..60, 0u64..60), 1..40)
    ) {
        let (ring, mut writer) = small(capacity);
        let (mut at, mut seen, mut lost) = (0, 0, 0);
        for (writes, reads) in steps {
            for _ in 0..writes {
                writer.write(|number| number);
            }
            for _ in 0..reads {
                match ring.read(at) {
                    Read::Event(value) => {
                        prop_assert_eq!(*value, at);
                        (at, seen) = (at + 1, seen + 1);
                    }
                    Read::Lost { oldest } => {
                        prop_assert!(oldest > at);
                        lost += oldest - at;
                        at = oldest;
                    }
                    Read::NotYet => break,
                }
            }
        }
        prop_assert_eq!(seen + lost, at);
        prop_assert!(at <= ring.next());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_see_everything_or_are_told_how_much_they_lost() {
    const EVENTS: u64 = 200_000;
    let (ring, mut writer) = small(127);
    let followers: Vec<_> = (0..3)
        .map(|_| {
            let ring = Arc::clone(&ring);
            tokio::spawn(async move {
                let (mut at, mut seen, mut lost) = (0, 0, 0);
                while at < EVENTS {
                    match ring.read(at) {
                        Read::Event(value) => {
                            assert_eq!(*value, at);
                            (at, seen) = (at + 1, seen + 1);
                        }
                        Read::Lost { oldest } => {
                            lost += oldest - at;
                            at = oldest;
                        }
                        Read::NotYet => ring.written(at).await,
                    }
                }
                seen + lost
            })
        })
        .collect();
    let writing = tokio::task::spawn_blocking(move || {
        for _ in 0..EVENTS {
            writer.write(|number| number);
        }
    });
    writing.await.unwrap();
    for follower in followers {
        assert_eq!(follower.await.unwrap(), EVENTS);
    }
}
