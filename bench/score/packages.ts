/** The Python packages of the scoring benches' peers; onnxruntime is of the version that onnxruntime-node has here. */
const COMMON = ["numpy==2.4.6", "onnxruntime==1.30.0", "pyarrow==26.0.1", "simplejpeg==1.9.0"] as const;

/** Wheels only: seconds to install */
export const PILLOW_PACKAGES: readonly string[] = [...COMMON, "Pillow==13.0.0"];
/** Pillow-SIMD is compiled on installing, which takes the headers of libjpeg and zlib, and half a minute */
export const PILLOW_SIMD_PACKAGES: readonly string[] = [...COMMON, "Pillow-SIMD==12.1.1.post0"];
export const RAY_PACKAGES: readonly string[] = [...PILLOW_SIMD_PACKAGES, "ray[data]==2.60.0"];
/** Daft wants a pyarrow below 26. */
export const DAFT_PACKAGES: readonly string[] = [
  ...PILLOW_SIMD_PACKAGES.filter((name) => !name.startsWith("pyarrow")),
  "pyarrow==25.0.1",
  "daft==0.7.26",
];
/** The TensorFlow that `npm run tfjs-native` builds the binding against */
export const TENSORFLOW_PACKAGES: readonly string[] = ["tensorflow-cpu==2.16.2"];
