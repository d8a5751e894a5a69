//! The lab's page.

fn main() {
    #[cfg(target_family = "wasm")]
    clove_web::page::lab::start();
}
