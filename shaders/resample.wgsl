// The first pass of Pillow's resize, along one axis, for a batch of photos of different sizes: bytes in, bytes out.
//
// Source: python-pillow/Pillow, src/libImaging/Resample.c (ImagingResampleInner, 8 bits a channel). Reference:
// clove::preprocess::Preprocess::pixels on the host, equal byte for byte: weights and sums are whole numbers.
// preprocess.wgsl is the second pass.
//
// pixels   [sum of sizes]      R, G, B and an unused byte, R in the lowest
// tables   [..]                a photo's plan (PLAN words each), then starts, lengths and weights of every axis; see `Plan` in
//                              crates/kernels/src/preprocess/plan.rs
// between  [sum of results]    as `pixels`, written
//
// One thread per pixel of the result, 16 x 16 per workgroup; x runs along the photo's rows for both axes, so that neighbours read
// neighbours; z counts the photos. The grid covers the largest photo.

const PLAN = 21u;
const HALF = 1 << 21u;

@group(0) @binding(0) var<storage, read_write> pixels: array<u32>;
@group(0) @binding(1) var<storage, read_write> tables: array<i32>;
@group(0) @binding(2) var<storage, read_write> between: array<u32>;

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    let plan = at.z * PLAN;
    // Sizes of the result, and whether the samples of an output are in a row.
    let width = u32(tables[plan + 2u]);
    let height = u32(tables[plan + 3u]);
    if at.x >= width || at.y >= height {
        return;
    }
    let in_rows = tables[plan + 4u] == 1;
    let output = select(at.y, at.x, in_rows);
    let other = select(at.x, at.y, in_rows);
    let start = u32(tables[u32(tables[plan + 5u]) + output]);
    let length = u32(tables[u32(tables[plan + 6u]) + output]);
    let weights = u32(tables[plan + 7u]) + output * u32(tables[plan + 8u]);
    let stride = u32(tables[plan + 9u]);
    let step = select(stride, 1u, in_rows);
    let across = select(1u, stride, in_rows);
    let first = u32(tables[plan]) + start * step + other * across;

    var sums = vec3(HALF);
    for (var tap = 0u; tap < length; tap++) {
        let pixel = pixels[first + tap * step];
        let sample = vec3(i32(pixel & 255u), i32((pixel >> 8u) & 255u), i32((pixel >> 16u) & 255u));
        sums += sample * tables[weights + tap];
    }
    let bytes = vec3<u32>(clamp(sums >> vec3(22u), vec3(0), vec3(255)));
    between[u32(tables[plan + 1u]) + at.y * width + at.x] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u);
}
