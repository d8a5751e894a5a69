//! The device that a model runs on: asked for by name, said aloud, never changed in silence.
//!
//! This is the platform seam: the one place in this crate that knows whether it runs natively or in a browser.

use std::str::FromStr;

pub use burn::tensor::Device;
use burn::tensor::Tensor;
#[cfg(not(target_family = "wasm"))]
use burn::tensor::wgpu::wgpu;
use thiserror::Error;

/// What a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// burn's CPU back end.
    Cpu,
    /// A GPU; without a number the best one, a software one included where there's no other.
    Gpu(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu(None)),
            _ => text
                .strip_prefix("gpu:")
                .and_then(|number| number.parse().ok())
                .map(|number| Self::Gpu(Some(number)))
                .ok_or_else(|| DeviceError::Unknown(text.to_owned())),
        }
    }
}

/// Why a device can't be had.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// Not a name of a device.
    #[error("`{0}` is no device; use auto, cpu, gpu or gpu:N")]
    Unknown(String),
    /// There's no GPU of this number.
    #[error("there is no gpu:{number}: {}", found(*.count))]
    NoSuchGpu {
        /// The number asked for.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// There's no GPU at all.
    #[error(
        "no GPU was found through Vulkan, Metal, DirectX 12 or OpenGL; install its driver, or use --device cpu"
    )]
    NoGpu,
    /// The GPU is there and doesn't open.
    #[error("{name} does not open: {reason}")]
    Open {
        /// The adapter.
        name: String,
        /// The runtime's reason.
        reason: String,
    },
}

/// A tensor can't be read back: the device failed, or the tensor doesn't hold f32.
#[derive(Debug, Error)]
#[error("reading back from the device failed: {0}")]
pub struct ReadBackError(String);

/// Reads a tensor back to the host, row-major. Asynchronous, because a browser has no other way.
///
/// # Errors
/// When the device fails.
pub async fn read_back<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ReadBackError> {
    let data = tensor.into_data_async().await.map_err(|error| ReadBackError(error.to_string()))?;
    data.try_into_vec().map_err(|error| ReadBackError(format!("{error:?}")))
}

fn found(count: usize) -> String {
    match count {
        0 => "no GPU was found".to_owned(),
        1 => "only gpu:0 was found".to_owned(),
        _ => format!("gpu:0 to gpu:{} were found", count - 1),
    }
}

#[cfg(not(target_family = "wasm"))]
/// A GPU as the graphics driver describes it.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// The driver's name for it.
    pub name: String,
    /// Discrete, integrated, virtual, software or other.
    pub kind: wgpu::DeviceType,
    /// Vulkan, Metal, DirectX 12 or OpenGL.
    pub api: wgpu::Backend,
    /// The driver and its version.
    pub driver: String,
    /// Its limits, in bytes and counts.
    pub limits: wgpu::Limits,
    /// Its optional abilities.
    pub features: wgpu::Features,
    /// Its place among the adapters of its kind and API, by which burn finds it.
    index: usize,
}

#[cfg(not(target_family = "wasm"))]
impl Adapter {
    /// Whether it's a program that plays a GPU, such as llvmpipe.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.kind == wgpu::DeviceType::Cpu
    }

    /// Whether threads of a subgroup can exchange values, which makes reductions faster.
    #[must_use]
    pub fn has_subgroups(&self) -> bool {
        self.features.contains(wgpu::Features::SUBGROUP)
    }

    /// Whether shaders can compute in 16 bits.
    #[must_use]
    pub fn has_f16(&self) -> bool {
        self.features.contains(wgpu::Features::SHADER_F16)
    }

    /// The largest tensor that a kernel can be given, in bytes.
    #[must_use]
    pub fn largest_binding(&self) -> u64 {
        let limits = &self.limits;
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// Its kind in a word.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            wgpu::DeviceType::DiscreteGpu => "discrete GPU",
            wgpu::DeviceType::IntegratedGpu => "integrated GPU",
            wgpu::DeviceType::VirtualGpu => "virtual GPU",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        }
    }
}

/// A device that is open.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// burn's handle.
    pub device: Device,
    /// What it is, for people: `cpu`, or the adapter's name, kind and API.
    pub description: String,
    /// Whether it's a GPU (a software one included).
    pub is_gpu: bool,
    /// The largest tensor that a kernel can be given, in bytes.
    pub largest_binding: u64,
}

/// The CPU, by burn's own back end.
#[cfg(feature = "cpu")]
#[must_use]
pub fn cpu() -> OpenDevice {
    OpenDevice {
        device: Device::flex(),
        description: "cpu".to_owned(),
        is_gpu: false,
        largest_binding: u64::MAX,
    }
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::sync::{Mutex, PoisonError};

    use burn::tensor::DeviceKind;
    use burn::tensor::wgpu::{WgpuBackend, wgpu};

    use super::{Adapter, Device, DeviceChoice, DeviceError, OpenDevice, cpu};

    /// The GPUs of this machine: those of the system's own API (Vulkan, Metal, DirectX 12), or where it has none those of
    /// OpenGL. Real ones come first, so that `gpu:0` is the best.
    #[must_use]
    pub fn adapters() -> Vec<Adapter> {
        let primary = list(wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12);
        if primary.is_empty() { list(wgpu::Backends::GL) } else { primary }
    }

    fn list(backends: wgpu::Backends) -> Vec<Adapter> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let mut adapters: Vec<Adapter> = Vec::new();
        for found in pollster::block_on(instance.enumerate_adapters(backends)) {
            let info = found.get_info();
            let index = adapters
                .iter()
                .filter(|other| other.kind == info.device_type && other.api == info.backend)
                .count();
            adapters.push(Adapter {
                name: info.name,
                kind: info.device_type,
                api: info.backend,
                driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
                limits: found.limits(),
                features: found.features(),
                index,
            });
        }
        adapters.sort_by_key(|adapter| match adapter.kind {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        });
        adapters
    }

    /// Opens the device that `choice` names.
    ///
    /// # Errors
    /// When there's no such device, or it doesn't open. `Auto` takes the CPU only where there's no real GPU; a GPU that
    /// doesn't open is an error.
    pub fn open(choice: DeviceChoice) -> Result<OpenDevice, DeviceError> {
        let adapters = match choice {
            DeviceChoice::Cpu => return Ok(cpu()),
            DeviceChoice::Auto | DeviceChoice::Gpu(_) => adapters(),
        };
        match choice {
            DeviceChoice::Cpu => Ok(cpu()),
            DeviceChoice::Auto => match adapters.iter().find(|adapter| !adapter.is_software()) {
                Some(adapter) => open_adapter(adapter),
                None => Ok(cpu()),
            },
            DeviceChoice::Gpu(None) => open_adapter(adapters.first().ok_or(DeviceError::NoGpu)?),
            DeviceChoice::Gpu(Some(number)) => open_adapter(
                adapters
                    .get(number)
                    .ok_or(DeviceError::NoSuchGpu { number, count: adapters.len() })?,
            ),
        }
    }

    fn open_adapter(adapter: &Adapter) -> Result<OpenDevice, DeviceError> {
        /// burn refuses to initialise an adapter twice in a process, so open ones are remembered.
        static OPEN: Mutex<Vec<(DeviceKind, wgpu::Backend, OpenDevice)>> = Mutex::new(Vec::new());

        let failed = |reason: String| DeviceError::Open { name: adapter.name.clone(), reason };
        let kind = match adapter.kind {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu(adapter.index),
            wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu(adapter.index),
            wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu(adapter.index),
            wgpu::DeviceType::Cpu => DeviceKind::Cpu,
            wgpu::DeviceType::Other => DeviceKind::DefaultDevice,
        };
        let api = match adapter.api {
            wgpu::Backend::Vulkan => WgpuBackend::Vulkan,
            wgpu::Backend::Metal => WgpuBackend::Metal,
            wgpu::Backend::Dx12 => WgpuBackend::Dx12,
            wgpu::Backend::Gl => WgpuBackend::Gl,
            other => return Err(failed(format!("{other} isn't supported"))),
        };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, device)) =
            open.iter().find(|(other, backend, _)| *other == kind && *backend == adapter.api)
        {
            return Ok(device.clone());
        }
        let device = Device::wgpu_options()
            .device_kind(kind.clone())
            .graphics_api(api)
            .init()
            .map_err(|error| failed(error.to_string()))?;
        let device = OpenDevice {
            device,
            description: format!("{} ({}, {})", adapter.name, adapter.kind_name(), adapter.api),
            is_gpu: true,
            largest_binding: adapter.largest_binding(),
        };
        open.push((kind, adapter.api, device.clone()));
        Ok(device)
    }
}

#[cfg(not(target_family = "wasm"))]
pub use native::{adapters, open};

/// The GPU of this tab, which the caller has looked at and names. Once a tab: a second time is an error.
///
/// # Errors
/// When the browser gives no device.
#[cfg(all(target_family = "wasm", feature = "gpu"))]
pub async fn webgpu(name: String) -> Result<OpenDevice, DeviceError> {
    match Device::wgpu_options().init_async().await {
        Ok(device) => Ok(OpenDevice {
            device,
            description: name,
            is_gpu: true,
            // WebGPU's default, which every browser gives.
            largest_binding: 128 << 20,
        }),
        Err(error) => Err(DeviceError::Open { name, reason: error.to_string() }),
    }
}
