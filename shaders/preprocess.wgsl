{{ enable }}
// The second pass of Pillow's resize, along the other axis, with the centre crop, the padding and the normalisation: from bytes to the
// input of an image tower.
//
// Source: python-pillow/Pillow, src/libImaging/Resample.c; openai/CLIP clip/clip.py (_transform). Reference:
// clove::preprocess::Preprocess::normalise of Preprocess::pixels on the host, equal bit for bit in f32: sums are of whole numbers,
// and the values of bytes come from a table of the host.
//
// between  [sum of sizes]                 the result of resample.wgsl
// tables   [..]                           as in resample.wgsl, and the value of each byte of each channel, 3 x 256 f32
// values   [photos, 3, size, size]        {{ element }}, written
//
// One thread per output pixel, 16 x 16 per workgroup; z counts the photos.

const PLAN = 21u;
const HALF = 1 << 21u;

@group(0) @binding(0) var<storage, read_write> between: array<u32>;
@group(0) @binding(1) var<storage, read_write> tables: array<i32>;
@group(0) @binding(2) var<storage, read_write> values: array<{{ element }}>;

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
    let plan = at.z * PLAN;
    let size = u32(tables[plan + 20u]);
    if at.x >= size || at.y >= size {
        return;
    }
    // The position in the part that isn't padding.
    let x = at.x - u32(tables[plan + 10u]);
    let y = at.y - u32(tables[plan + 11u]);
    var bytes = vec3<u32>(0u);
    // Positions before that part wrap around to large numbers.
    if x < u32(tables[plan + 12u]) && y < u32(tables[plan + 13u]) {
        let in_rows = tables[plan + 14u] == 1;
        let output = select(y, x, in_rows);
        let other = select(x, y, in_rows);
        let start = u32(tables[u32(tables[plan + 15u]) + output]);
        let length = u32(tables[u32(tables[plan + 16u]) + output]);
        let weights = u32(tables[plan + 17u]) + output * u32(tables[plan + 18u]);
        let stride = u32(tables[plan + 2u]);
        let step = select(stride, 1u, in_rows);
        let across = select(1u, stride, in_rows);
        let first = u32(tables[plan + 1u]) + start * step + other * across;
        var sums = vec3(HALF);
        for (var tap = 0u; tap < length; tap++) {
            let pixel = between[first + tap * step];
            let sample = vec3(i32(pixel & 255u), i32((pixel >> 8u) & 255u), i32((pixel >> 16u) & 255u));
            sums += sample * tables[weights + tap];
        }
        bytes = vec3<u32>(clamp(sums >> vec3(22u), vec3(0), vec3(255)));
    }
    let of_bytes = u32(tables[plan + 19u]);
    let plane = size * size;
    let first = at.z * 3u * plane + at.y * size + at.x;
    values[first] = {{ element }}(bitcast<f32>(tables[of_bytes + bytes.x]));
    values[first + plane] = {{ element }}(bitcast<f32>(tables[of_bytes + 256u + bytes.y]));
    values[first + 2u * plane] = {{ element }}(bitcast<f32>(tables[of_bytes + 512u + bytes.z]));
}
