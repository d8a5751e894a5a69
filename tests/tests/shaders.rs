//! Guards the WGSL: each file is valid, is used, and asks of a device no more than WebGPU promises.

use std::collections::BTreeSet;

use clove_kernels::Shader;
use clove_tests::package;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess};

/// WebGPU's default limits (https://www.w3.org/TR/webgpu/#limits).
mod limits {
    pub const STORAGE_BUFFERS_PER_STAGE: usize = 8;
    pub const WORKGROUP_STORAGE: u32 = 16_384;
    pub const INVOCATIONS: u32 = 256;
    pub const WORKGROUP: [u32; 3] = [256, 256, 64];
}

fn validated(shader: Shader) -> (Module, ModuleInfo) {
    let text = shader.text();
    let module = naga::front::wgsl::parse_str(&text)
        .unwrap_or_else(|error| panic!("{}: {}", shader.name(), error.emit_to_string(&text)));
    let needed = match shader {
        Shader::Preprocess { half: true } => Capabilities::SHADER_FLOAT16,
        // WebGPU has it; naga asks because some of OpenGL's adapters haven't.
        Shader::Patch => Capabilities::SHADER_FLOAT16_IN_FLOAT32,
        _ => Capabilities::empty(),
    };
    let info = Validator::new(ValidationFlags::all(), needed)
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}: {}", shader.name(), error.emit_to_string(&text)));
    (module, info)
}

#[test]
fn every_file_is_a_kernel_and_every_kernel_a_file() {
    let files: BTreeSet<String> = std::fs::read_dir(package().join("../shaders"))
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".wgsl").map(str::to_owned)
        })
        .collect();
    let kernels: BTreeSet<String> = Shader::ALL.map(|shader| shader.name().to_owned()).into();
    assert_eq!(files, kernels);
}

#[test]
fn every_shader_is_valid_and_within_webgpus_default_limits() {
    for shader in Shader::ALL {
        let name = shader.name();
        let (module, info) = validated(shader);

        assert_eq!(module.entry_points.len(), 1, "{name}");
        let entry = &module.entry_points[0];
        assert_eq!(entry.name, "main", "{name}");
        let [x, y, z] = entry.workgroup_size;
        assert_eq!([x, y], shader.workgroup(), "{name}");
        assert!(x * y * z <= limits::INVOCATIONS, "{name}");
        for (size, limit) in entry.workgroup_size.iter().zip(limits::WORKGROUP) {
            assert!(*size <= limit, "{name}");
        }

        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let mut workgroup = 0;
        let mut bindings = BTreeSet::new();
        for (handle, variable) in module.global_variables.iter() {
            // wgpu omits unused variables from the layout that it derives, which would shift the buffers.
            let used = !info.get_entry_point(0)[handle].is_empty();
            assert!(used, "{name}: {:?} isn't used", variable.name);
            match variable.space {
                AddressSpace::WorkGroup => workgroup += layouter[variable.ty].to_stride(),
                AddressSpace::Storage { access } => {
                    // Several tensors may share a buffer, which can't be bound for reading and for writing at once.
                    let both = StorageAccess::LOAD | StorageAccess::STORE;
                    assert_eq!(access, both, "{name}: {:?}", variable.name);
                    let binding = variable.binding.as_ref().unwrap();
                    assert_eq!(binding.group, 0, "{name}");
                    bindings.insert(binding.binding as usize);
                }
                other => panic!("{name}: {:?} is in {other:?}", variable.name),
            }
        }
        assert!(workgroup <= limits::WORKGROUP_STORAGE, "{name}: {workgroup}");
        assert!(bindings.len() <= limits::STORAGE_BUFFERS_PER_STAGE, "{name}");
        assert!(bindings.iter().copied().eq(0..bindings.len()), "{name}");
    }
}

#[test]
fn every_shader_states_its_contract() {
    for shader in Shader::ALL {
        let text = shader.text();
        let name = shader.name();
        let header: String = text.lines().filter(|line| line.starts_with("//")).collect();
        assert!(header.contains("Reference:"), "{name} names no reference");
        let (module, _) = validated(shader);
        for (_, variable) in module.global_variables.iter() {
            if variable.binding.is_some() {
                let binding = variable.name.as_deref().unwrap();
                assert!(header.contains(binding), "{name} says nothing of {binding}");
            }
        }
    }
}
