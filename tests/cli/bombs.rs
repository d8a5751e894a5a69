//! Guards the program against files that unpack to more than memory has room for.

#![cfg(unix)]

use std::fs::{self, File};

use clove_tests::bombs::{PROGRESSIVE, jpeg};

use super::limits::limited;
use super::{Place, assert_contains, failed, line, path};

/// The program runs with less memory than any of these would take.
const LIMIT: &str = "-v 1500000";

#[test]
fn a_photo_that_announces_more_than_the_budget_is_named() {
    let place = Place::new();
    let bomb = place.file("bomb.jpg", &jpeg(PROGRESSIVE, (11_585, 11_585), &[0x11; 3]));
    let out = place.out("pixels.safetensors");
    let args = line("preprocess --model _ --images _ --out _", &[&place.model, &bomb, path(&out)]);
    let error = failed(&limited(LIMIT, &args, path(&place.out("cache"))));
    let told = "11585 x 11585 pixels; the limit is 536870912 bytes of memory";
    assert_contains(&error, &["bomb.jpg", told]);
    assert!(!out.exists());
}

/// One field of a benchmark's table, which is a hole in the file.
#[test]
fn a_table_of_one_field_is_refused() {
    let place = Place::new();
    let table = place.file("svo_probes.csv", b"sentence,pos_image_id,neg_image_id\n\"");
    let file = File::options().write(true).open(&table).unwrap();
    file.set_len(1 << 30).unwrap();
    let images = place.out("images");
    fs::create_dir(&images).unwrap();
    let command = "eval --model _ --suite svo-probes --data _ --images _ --device cpu";
    let args = line(command, &[&place.model, &table, path(&images)]);
    let error = failed(&limited(LIMIT, &args, path(&place.out("cache"))));
    assert_contains(&error, &["svo_probes.csv: larger than 67108864 bytes"]);
}
