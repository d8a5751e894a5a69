//! The engine on WebGPU, with training.

fn main() {
    #[cfg(target_family = "wasm")]
    clove_web::engine::start(clove_web::engine::Kind::Gpu);
}
