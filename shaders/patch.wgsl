// theta = base + alpha * delta: the weights between a pretrained model and a fine-tuned one, where the fine-tuned one is kept as
// its difference, in 16 or in 8 bits, and is unpacked where it is added.
//
// Source: CLoVe, arXiv 2402.15021, section 3.3. Reference: clove::patch::Delta::values, number by number on the host.
// Exists because it holds a model and half or a quarter of one where two f32 models would stand; burn's tensors have no 8-bit
// integers on WebGPU, and f16 only where the adapter offers it, which this doesn't need.
//
// base   [count]  f32
// delta  [words]  f16 pairs, the even element in the low half, or four signed bytes, the first in the lowest
// theta  [count]  f32, written
// info   [4]      count, alpha (f32 bits), step of a byte (f32 bits), 1 for bytes and 0 for f16
//
// One thread a word; 256 threads a workgroup, in a grid of two dimensions where one isn't enough. A result is the exact one,
// rounded once or, where the compiler doesn't fuse the product with the sum, twice.

@group(0) @binding(0) var<storage, read_write> base: array<f32>;
@group(0) @binding(1) var<storage, read_write> delta: array<u32>;
@group(0) @binding(2) var<storage, read_write> theta: array<f32>;
@group(0) @binding(3) var<storage, read_write> info: array<u32>;

fn write(element: u32, difference: f32) {
    if element < info[0] {
        theta[element] = fma(bitcast<f32>(info[1]), difference, base[element]);
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let word = (group.y * groups.x + group.x) * 256u + local;
    let each = select(2u, 4u, info[3] == 1u);
    if word >= (info[0] + each - 1u) / each {
        return;
    }
    let packed = delta[word];
    if info[3] == 1u {
        let step = bitcast<f32>(info[2]);
        for (var at = 0u; at < 4u; at++) {
            write(word * 4u + at, f32(extractBits(bitcast<i32>(packed), at * 8u, 8u)) * step);
        }
    } else {
        let pair = unpack2x16float(packed);
        write(word * 2u, pair.x);
        write(word * 2u + 1u, pair.y);
    }
}
