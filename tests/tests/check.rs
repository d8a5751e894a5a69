//! Guards the check of devices: it passes on the CPU and on a GPU, and finds every injected fault.

use clove::check::{FEW_SIDES, Fault, Item, LARGE_BYTES, Verdict, check};
use clove_tests::{cpu, devices, thorough};

#[test]
fn every_item_is_right_and_every_fault_is_found_on_every_device() {
    for (name, device) in devices() {
        // A software adapter binds less than the large buffer; the CPU has no such limit.
        let largest = if name == "cpu" { u64::MAX } else { LARGE_BYTES - 1 };
        // A software adapter needs minutes for the larger products and for a step's kernels; the tests of `training` compile those
        // kernels too.
        let is_due = |item: &Item| {
            name == "cpu"
                || thorough()
                || match item {
                    Item::Matmul(side) => FEW_SIDES.contains(side),
                    item => *item != Item::TrainingStep,
                }
        };
        for item in Item::all().into_iter().filter(is_due) {
            let run = |fault| pollster::block_on(check(item, &device, largest, fault));
            let verdict = run(None);
            println!("{name}: {}: {verdict:?}", item.name());
            assert!(verdict.is_good(), "{name}: {}: {verdict:?}", item.name());
            let is_skipped = matches!(verdict, Verdict::Skipped { .. });
            let nowhere = match item {
                Item::LargeBuffer => name != "cpu",
                Item::Patch | Item::Preprocess | Item::Contrastive | Item::OwnNegatives => {
                    name == "cpu"
                }
                _ => false,
            };
            assert_eq!(is_skipped, nowhere);
            if !is_skipped {
                let verdict = run(Some(Fault(item)));
                let found = matches!(verdict, Verdict::Wrong { .. });
                assert!(found, "{name}: a fault in {} isn't found", item.name());
            }
        }
    }
}

#[test]
fn a_fault_elsewhere_is_none_here() {
    let fault = Some(Fault(Item::Softmax));
    let verdict = pollster::block_on(check(Item::Matmul(50), &cpu(), u64::MAX, fault));
    assert!(verdict.is_good(), "{verdict:?}");
}
