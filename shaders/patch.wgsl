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
// One thread a weight, so that neighbours read and write neighbours; 256 threads a workgroup, in a grid of two dimensions where
// one isn't enough. A result is the exact one, rounded once or, where the compiler doesn't fuse the product with the sum, twice.

@group(0) @binding(0) var<storage, read_write> base: array<f32>;
@group(0) @binding(1) var<storage, read_write> delta: array<u32>;
@group(0) @binding(2) var<storage, read_write> theta: array<f32>;
@group(0) @binding(3) var<storage, read_write> info: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + local;
    if at >= info[0] {
        return;
    }
    var difference = 0.0;
    if info[3] == 1u {
        let byte = extractBits(bitcast<i32>(delta[at / 4u]), at % 4u * 8u, 8u);
        difference = f32(byte) * bitcast<f32>(info[2]);
    } else {
        let pair = unpack2x16float(delta[at / 2u]);
        difference = select(pair.x, pair.y, at % 2u == 1u);
    }
    theta[at] = fma(bitcast<f32>(info[1]), difference, base[at]);
}
